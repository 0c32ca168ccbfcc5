// Arrays of FIFOs over their first dimension, as the checked C simulation has them: elements are written once, in order,
// and then each is read once, in that order, so that nothing is left when the pass ends. Anything else ends the program,
// since hardware would stand still or go on with another element. Elsewhere such an array is an array.
#pragma once

#ifdef PEELVIT_CHECKS_FIFOS

#include <cstdio>
#include <cstdlib>

namespace peelvit {

template <typename T, int kLength, int kPlaces, int kGroups, int kWords>
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

    // One level of brackets: `kRest` FIFOs behind each index.
    template <int kRest, typename Next>
    struct Level {
        const Fifos& all;
        int at, fifo;
        Next operator[](int index) const { return Next{all, at, fifo + index * kRest}; }
    };
    using Word = Level<1, Element>;
    using Group = Level<kWords, Word>;
    using Place = Level<kGroups * kWords, Group>;

    Place operator[](int at) const { return Place{*this, at, 0}; }

    ~Fifos() {
        for (int fifo = 0; fifo < kPlaces * kGroups * kWords; ++fifo) require(read_[fifo] == written_[fifo], "is left", written_[fifo]);
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

    mutable T value_[kPlaces * kGroups * kWords][kLength];
    mutable int place_[kPlaces * kGroups * kWords][kLength];
    mutable int written_[kPlaces * kGroups * kWords] = {};
    mutable int read_[kPlaces * kGroups * kWords] = {};
};

}  // namespace peelvit

#endif
