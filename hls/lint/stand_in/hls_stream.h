// Declares the vendor's hls::stream so that kernels with streams parse; nothing here is ever run.
#pragma once

namespace hls {
template <typename T, int DEPTH = 0>
class stream {
  public:
    stream();
    explicit stream(const char* name);
    stream(const stream&) = delete;
    stream& operator=(const stream&) = delete;
    bool empty() const;
    bool full() const;
    T read();
    void read(T& value);
    bool read_nb(T& value);
    void write(const T& value);
    bool write_nb(const T& value);
    stream& operator>>(T& value);
    stream& operator<<(const T& value);
};
}  // namespace hls
