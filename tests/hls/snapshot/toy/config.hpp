// Sizes of configuration toy. Rendered from hls/configs/toy.json.
#pragma once

namespace peelvit {

constexpr unsigned kHashLow = 0xd516cf89u;
constexpr unsigned kHashHigh = 0xec31245au;

constexpr int kMasters = 5;
constexpr int kPorts = 3;  // of the masters, those over which the GEMM engine cuts its matrices
constexpr int kRowTile = 10;
constexpr int kColumnTile = 24;
constexpr int kStepTiles = 2;
constexpr int kLineTiles = 4;
constexpr int kUpdateTiles = 2;
constexpr int kStepBuffers = 3;
constexpr int kPanelRows = 40;
constexpr int kSumRows = 96;
constexpr int kChunk = 24;
constexpr int kLaneCount = 4;
constexpr int kUpdateLanes = 8;
constexpr int kReadLatency = 48;
constexpr int kWriteLatency = 32;
constexpr int kBurstWords = 16;
constexpr int kOutstanding = 16;
constexpr int kDdrWords = 4;
constexpr int kDdrWordsPerThousand = 5332;  // cycles
constexpr int kMaxColumns = 256;
constexpr int kMaxContraction = 512;
constexpr int kMaxExponentBits = 31;
constexpr int kMaxHeadDim = 32;
constexpr int kMaxHeads = 4;
constexpr int kMaxMargin = 8;
constexpr int kMaxPatches = 80;
constexpr int kMaxRows = 4096;
constexpr int kMaxSegments = 3;
constexpr int kMaxSlots = 512;
constexpr int kMaxSplit = 8;
constexpr int kMaxTokens = 81;

}  // namespace peelvit
