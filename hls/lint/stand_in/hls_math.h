// Declares enough of the vendor's hls_math.h for a kernel that uses it to parse; the rule `maths-call` then reports it.
#pragma once

namespace hls {
template <typename T> T abs(T x);
template <typename T> T exp(T x);
template <typename T> T log(T x);
template <typename T> T sqrt(T x);
template <typename T> T rsqrt(T x);
template <typename T> T recip(T x);
template <typename T> T round(T x);
template <typename T> T floor(T x);
template <typename T> T ceil(T x);
template <typename T> T tanh(T x);
template <typename T> T pow(T x, T y);
template <typename T> T divide(T x, T y);
template <typename T> T max(T x, T y);
template <typename T> T min(T x, T y);
}  // namespace hls
