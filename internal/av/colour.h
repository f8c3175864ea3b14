// Conversion to the canvas's colours: BT.709, limited range.
#pragma once

#include "scale.h"

// fl_to_709_limited converts w x h pixels in place.
void fl_to_709_limited(const FLPlanes *p, int w, int h, int full_range, int bt601);
