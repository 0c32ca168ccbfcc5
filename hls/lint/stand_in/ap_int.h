// Hides __SYNTHESIS__ from the open-source header, which refuses to be included with it; its types are the same ones.
#pragma push_macro("__SYNTHESIS__")
#undef __SYNTHESIS__
#include_next <ap_int.h>
#pragma pop_macro("__SYNTHESIS__")
