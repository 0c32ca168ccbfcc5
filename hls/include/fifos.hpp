// Arrays of FIFOs over their first dimension, as the checked C simulation has them: elements are written once, in
// order, and then each is read once, in that order, so that nothing is left when the pass ends. Anything else ends the
// program, since hardware would stand still or go on with another element. Elsewhere such an array is an array.
#pragma once

#ifdef PEELVIT_CHECKS_FIFOS

#include <cstdio>
#include <cstdlib>

namespace peelvit {

// Elements there are of `kSizes` dimensions.
constexpr int elements() { return 1; }
template <typename... Sizes>
constexpr int elements(int size, Sizes... sizes) {
    return size * elements(sizes...);
}

template <typename T, int kLength, int... kSizes>
class Fifos {
  public:
    class Element {
      public:
        Element(const Fifos& all, int at, int fifo) : all_(all), at_(at), fifo_(fifo) {}
        void operator=(const T& value) { all_.write(at_, fifo_, value); }
        operator T() const { return all_.read(at_, fifo_); }

      private:
        const Fifos& all_;
        int at_, fifo_;
    };

    // What is behind some of the brackets: FIFO `fifo` of those that the others tell apart.
    template <int... kRest>
    struct Level;
    template <int kLast>
    struct Level<kLast> {
        const Fifos& all;
        int at, fifo;
        Element operator[](int index) const { return Element(all, at, fifo * kLast + index); }
    };
    template <int kNext, int kBehind, int... kRest>
    struct Level<kNext, kBehind, kRest...> {
        const Fifos& all;
        int at, fifo;
        Level<kBehind, kRest...> operator[](int index) const { return {all, at, fifo * kNext + index}; }
    };

    Level<kSizes...> operator[](int at) const { return {*this, at, 0}; }

    ~Fifos() {
        for (int fifo = 0; fifo < kFifos; ++fifo) require(read_[fifo] == written_[fifo], "is left", written_[fifo]);
    }

  private:
    static void require(bool holds, const char* what, int at) {
        if (holds) return;
        std::fprintf(stderr, "FIFO: element %d %s\n", at, what);
        std::abort();
    }

    void write(int at, int fifo, const T& value) const {
        const int count = written_[fifo]++;
        require(at < kLength && (count == 0 || at > place_[fifo][count - 1]), "is written out of order", at);
        place_[fifo][count] = at;
        value_[fifo][count] = value;
    }

    T read(int at, int fifo) const {
        const int count = read_[fifo]++;
        require(count < written_[fifo] && at == place_[fifo][count], "is read out of order", at);
        return value_[fifo][count];
    }

    static constexpr int kFifos = elements(kSizes...);
    mutable T value_[kFifos][kLength];
    mutable int place_[kFifos][kLength];
    mutable int written_[kFifos] = {};
    mutable int read_[kFifos] = {};
};

}  // namespace peelvit

#endif
