// The accelerator: reads a program from memory and runs it instruction by instruction. Rendered for toy.
#include "instruction.hpp"
#include "legality.hpp"
#include "slots.hpp"
#include "ops/gemm_nt.hpp"
#include "ops/gemm_nn.hpp"
#include "ops/gemm_tn.hpp"
#include "ops/column_sum.hpp"
#include "ops/embed_class.hpp"
#include "ops/layernorm.hpp"
#include "ops/layernorm_backward.hpp"
#include "ops/softmax.hpp"
#include "ops/softmax_backward.hpp"
#include "ops/gelu.hpp"
#include "ops/gelu_backward.hpp"
#include "ops/attention.hpp"
#include "ops/attention_backward.hpp"
#include "ops/select_tokens.hpp"
#include "ops/select_keys.hpp"
#include "ops/gather_tokens.hpp"
#include "ops/scatter_tokens.hpp"
#include "ops/class_variance.hpp"
#include "ops/cross_entropy.hpp"
#include "ops/sgd_update.hpp"
#include "ops/adamw_update.hpp"
#include "ops/load_weights.hpp"
#include "ops/exponent_update.hpp"

namespace peelvit {

// Cycles of an instruction outside its loops, an assumption until a synthesis report tells: slots are looked up, the job
// is set up and a divider runs.
constexpr unsigned kDispatchCycles = 32;

// Run one legal instruction that is not one of the attention unit.
inline void execute(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, RowPanel& panel, KeptColumns& kept, Held& held, Slots& slots) {
#pragma HLS inline off
    // The three GEMM forms and SGD share one array, both selections a unit, and so do the two ways to copy tokens, and
    // whoever stores sums.
#pragma HLS allocation function instances=gemm limit=1
#pragma HLS allocation function instances=select_in_rows limit=1
#pragma HLS allocation function instances=copy_listed_rows limit=1
#pragma HLS allocation function instances=store_sums limit=1
    switch (in.opcode) {
        case kOpGemmNt:
            gemm_nt(mem0, mem1, mem2, in, panel, kept, held, slots);
            break;
        case kOpGemmNn:
            gemm_nn(mem0, mem1, mem2, in, panel, kept, held, slots);
            break;
        case kOpGemmTn:
            gemm_tn(mem0, mem1, mem2, in, panel, kept, held, slots);
            break;
        case kOpColumnSum:
            column_sum(mem0, mem1, mem2, in, slots);
            break;
        case kOpEmbedClass:
            embed_class(mem0, mem1, mem2, in, slots);
            break;
        case kOpLayernorm:
            layernorm(mem0, mem1, mem2, in, panel, held, slots);
            break;
        case kOpLayernormBackward:
            layernorm_backward(mem0, mem1, mem2, in, panel, held, slots);
            break;
        case kOpSoftmax:
            softmax(mem0, mem1, mem2, in, slots);
            break;
        case kOpSoftmaxBackward:
            softmax_backward(mem0, mem1, mem2, in, slots);
            break;
        case kOpGelu:
            gelu(mem0, mem1, mem2, in, slots);
            break;
        case kOpGeluBackward:
            gelu_backward(mem0, mem1, mem2, in, slots);
            break;
        case kOpSelectTokens:
            select_tokens(mem0, mem1, mem2, in, slots);
            break;
        case kOpSelectKeys:
            select_keys(mem0, mem1, mem2, in, slots);
            break;
        case kOpGatherTokens:
            gather_tokens(mem0, mem1, mem2, in, slots);
            break;
        case kOpScatterTokens:
            scatter_tokens(mem0, mem1, mem2, in, slots);
            break;
        case kOpClassVariance:
            class_variance(mem0, mem1, mem2, in, slots);
            break;
        case kOpCrossEntropy:
            cross_entropy(mem0, mem1, mem2, in, slots);
            break;
        case kOpSgdUpdate:
            sgd_update(mem0, mem1, mem2, in, panel, kept, held, slots);
            break;
        case kOpExponentUpdate:
            exponent_update(mem0, mem1, mem2, in, slots);
            break;
        case kOpAdamwUpdate:
            adamw_update(mem0, mem1, mem2, in, slots);
            break;
        case kOpLoadWeights:
            load_weights(mem0, mem1, mem2, in, panel, kept, held, slots);
            break;
        default:
            break;
    }
}

// Sum over the fields of all instructions (hls/spec/instruction.py, checksum).
inline void checksum(const word_t* mem, unsigned address, int instructions, unsigned& low, unsigned& high) {
    low = 0;
    high = 0;
checksum:
    for (int w = 0; w < instructions * kInstructionWords; ++w) {
#pragma HLS loop_tripcount max = 16384
        PIPELINE(w == 0, 1, kReadLatency);
        const word_t word = read_word<0>(mem, address + w);
        for (int lane = 0; lane < kWideLanes; ++lane) {
#pragma HLS unroll
            low += unsigned(u32(get32(word, lane)));
            high += low;
        }
    }
}

// Check the program's header and checksum; `header` holds its fields.
inline int check_program(const word_t* mem, unsigned window_words, unsigned program, unsigned header[kFields]) {
    const unsigned long long end_of_header = static_cast<unsigned long long>(program) + kInstructionWords;
    if (end_of_header > window_words) return kStatusProgramOutsideWindow;
    read_fields(mem, program, header);
    if (header[kHeaderMagic] != kMagic) return kStatusBadMagic;
    if (header[kHeaderVersion] != kVersion) return kStatusBadVersion;
    if (header[kHeaderHashLow] != kHashLow || header[kHeaderHashHigh] != kHashHigh) return kStatusConfigurationMismatch;
    const unsigned long long instructions = header[kHeaderInstructions];
    if (instructions == 0) return kStatusMissingEnd;
    if (end_of_header + instructions * kInstructionWords > window_words) return kStatusProgramOutsideWindow;
    unsigned last[kFields];
#pragma HLS array_partition variable=last type=cyclic factor=4
    read_fields(mem, program + unsigned(instructions) * kInstructionWords, last);
    if ((last[0] & 0xFFu) != unsigned(kOpEnd)) return kStatusMissingEnd;
    unsigned low = 0;
    unsigned high = 0;
    checksum(mem, program + kInstructionWords, int(instructions), low, high);
    if (low != header[kHeaderSumLow] || high != header[kHeaderSumHigh]) return kStatusBadChecksum;
    const unsigned long long table_end =
        static_cast<unsigned long long>(header[kHeaderSlotTable]) + kSlotWords * static_cast<unsigned long long>(header[kHeaderSlots]);
    if (header[kHeaderSlots] > unsigned(kMaxSlots) || table_end > window_words) return kStatusBadSlotTable;
    return kStatusOk;
}

// Where a program stands.
struct Progress {
    int next;           // instruction
    int status;         // why it was refused, or kStatusOk
    bool has_ended;     // by `end`, or since an instruction was refused
    bool has_attention; // it is one of the attention unit
    Instruction attention;
};

// Run at most so many instructions, up to the next one of the attention unit. Beside that unit, whose statistics are not
// entered yet, exponents must wait.
inline void run_instructions(word_t* mem0, word_t* mem1, word_t* mem2, unsigned window_words, int slot_count,
                             int most, bool is_beside, FetchedWords& fetched_words, Fetched& fetched, const Progress& from, Progress& to, RowPanel& panel, KeptColumns& kept, Held& held, Slots& slots) {
#pragma HLS inline off
    to = from;
    to.has_attention = false;
instructions:
    for (int i = 0; i < most; ++i) {
#pragma HLS loop_tripcount max = 2048
        unsigned fields[kFields];
#pragma HLS array_partition variable=fields type=cyclic factor=4
        fetch(mem0, fetched_words, fetched);
        unpack(fetched_words, fetched, fields);
        const Instruction in = decode(fields);
        if (is_beside && in.opcode == kOpExponentUpdate) break;
        STRAIGHT(kDispatchCycles);
        to.status = check_instruction(in, window_words, slot_count);
        to.has_ended = to.status != kStatusOk || in.opcode == kOpEnd;
        to.has_attention = !to.has_ended && is_attention(in);
        if (to.has_attention) to.attention = in;
        if (to.has_ended || to.has_attention) break;
        execute(mem0, mem1, mem2, in, panel, kept, held, slots);
        MARK_INSTRUCTION();
        ++to.next;
        advance(fetched);
    }
}

// An instruction of the attention unit, on ports of its own, and beside it those behind it.
inline void run_sides(word_t* mem0, word_t* mem1, word_t* mem2, word_t* mem3, word_t* mem4, unsigned window_words,
                      int slot_count, int most, FetchedWords& fetched_words, Fetched& fetched, const Progress& from, Progress& to, RowPanel& panel, KeptColumns& kept, Held& held, Slots& slots, const AttentionJob& job,
                      AttentionStatistics& statistics) {
#pragma HLS inline off
    SIDES();
    ONE_SIDE(run_instructions(mem0, mem1, mem2, window_words, slot_count, most, job.runs, fetched_words, fetched, from, to, panel, kept, held, slots));
    OTHER_SIDE(attend(mem3, mem4, job, statistics), job.runs);
}

inline AttentionJob attention_job_of(const Instruction& in, const Slots& slots) {
    return in.opcode == kOpAttention ? attention(in, slots) : attention_backward(in, slots);
}

// Run the instructions until `end`, or until one is refused.
inline int run_program(word_t* mem0, word_t* mem1, word_t* mem2, word_t* mem3, word_t* mem4, unsigned window_words, unsigned program,
                       int slot_count, int instructions, Slots& slots, unsigned& index) {
    MARK_START();
    Progress progress;
    progress.next = 0;
    progress.status = kStatusOk;
    progress.has_ended = false;
    progress.has_attention = false;
    AttentionJob job = AttentionJob();  // none yet: it does not run
    AttentionStatistics statistics;
    FetchedWords fetched_words;
#pragma HLS bind_storage variable=fetched_words type=ram_s2p impl=lutram
    Fetched fetched = nothing_fetched(program, instructions);
    RowPanel panel;  // on chip from one instruction to the next
#pragma HLS array_partition variable=panel type=complete dim=1
#pragma HLS array_partition variable=panel type=complete dim=2
#pragma HLS array_partition variable=panel type=complete dim=4
#pragma HLS bind_storage variable=panel type=ram_t2p impl=bram
    KeptColumns kept;
#pragma HLS array_reshape variable=kept type=complete dim=2
#pragma HLS array_reshape variable=kept type=complete dim=3
#pragma HLS array_reshape variable=kept type=complete dim=4
    Held held = nothing_held();
sides:
    for (int i = 0; i < 2 * instructions; ++i) {  // an instruction of the attention unit takes two
#pragma HLS loop_tripcount max = 2048
        const Progress before = progress;
        const int most = job.runs ? int(before.attention.beside) : instructions - before.next;
        run_sides(mem0, mem1, mem2, mem3, mem4, window_words, slot_count, most, fetched_words, fetched, before, progress, panel, kept, held, slots, job, statistics);
        if (job.runs && before.attention.opcode == kOpAttention) record_attention(before.attention, job, statistics, slots);
        if (job.runs && before.attention.opcode != kOpAttention) record_attention_backward(before.attention, job, statistics, slots);
        if (progress.has_ended) break;
        job.runs = progress.has_attention;
        if (progress.has_attention) {
            job = attention_job_of(progress.attention, slots);
            ++progress.next;
            advance(fetched);
        }
    }
    index = unsigned(progress.next);
    return progress.status;
}

}  // namespace peelvit

// Top function. mem0 to mem4 are ports to the same window of `window_words` words; `program` is a word address in it.
// Registers: hls/spec/registers.py.
extern "C" void peelvit_top(peelvit::word_t* mem0, peelvit::word_t* mem1, peelvit::word_t* mem2, peelvit::word_t* mem3,
                            peelvit::word_t* mem4, unsigned window_words, unsigned program, unsigned* status,
                            unsigned* failed_instruction, unsigned* hash_low, unsigned* hash_high) {
#pragma HLS interface mode=m_axi port=mem0 bundle=gmem0 offset=slave depth=1048576 max_read_burst_length=16 max_write_burst_length=16 num_read_outstanding=16 num_write_outstanding=16 latency=48
#pragma HLS interface mode=m_axi port=mem1 bundle=gmem1 offset=slave depth=1048576 max_read_burst_length=16 max_write_burst_length=16 num_read_outstanding=16 num_write_outstanding=16 latency=48
#pragma HLS interface mode=m_axi port=mem2 bundle=gmem2 offset=slave depth=1048576 max_read_burst_length=16 max_write_burst_length=16 num_read_outstanding=16 num_write_outstanding=16 latency=48
#pragma HLS interface mode=m_axi port=mem3 bundle=gmem3 offset=slave depth=1048576 max_read_burst_length=16 max_write_burst_length=16 num_read_outstanding=16 num_write_outstanding=16 latency=48
#pragma HLS interface mode=m_axi port=mem4 bundle=gmem4 offset=slave depth=1048576 max_read_burst_length=16 max_write_burst_length=16 num_read_outstanding=16 num_write_outstanding=16 latency=48
#pragma HLS interface mode=s_axilite port=mem0 offset=0x10 bundle=control
#pragma HLS interface mode=s_axilite port=mem1 offset=0x1c bundle=control
#pragma HLS interface mode=s_axilite port=mem2 offset=0x28 bundle=control
#pragma HLS interface mode=s_axilite port=mem3 offset=0x34 bundle=control
#pragma HLS interface mode=s_axilite port=mem4 offset=0x40 bundle=control
#pragma HLS interface mode=s_axilite port=window_words offset=0x4c bundle=control
#pragma HLS interface mode=s_axilite port=program offset=0x54 bundle=control
#pragma HLS interface mode=s_axilite port=status offset=0x5c bundle=control
#pragma HLS interface mode=s_axilite port=failed_instruction offset=0x6c bundle=control
#pragma HLS interface mode=s_axilite port=hash_low offset=0x7c bundle=control
#pragma HLS interface mode=s_axilite port=hash_high offset=0x8c bundle=control
#pragma HLS interface mode=s_axilite port=return bundle=control
    using namespace peelvit;
    Slots slots;
#pragma HLS array_reshape variable=slots.history type=complete dim=2
#pragma HLS bind_storage variable=slots.history type=ram_s2p impl=bram
    unsigned header[kFields];
#pragma HLS array_partition variable=header type=cyclic factor=4
    unsigned index = 0;
    *hash_low = kHashLow;
    *hash_high = kHashHigh;
    int result = check_program(mem0, window_words, program, header);
    if (result == kStatusOk) {
        const int slot_count = int(header[kHeaderSlots]);
        load_slots(mem0, header[kHeaderSlotTable], slot_count, slots);
        result = run_program(mem0, mem1, mem2, mem3, mem4, window_words, program, slot_count, int(header[kHeaderInstructions]), slots, index);
        store_slots(mem0, header[kHeaderSlotTable], slot_count, slots);
    }
    *status = unsigned(result);
    *failed_instruction = index;
}
