// Layers: pictures with alpha that are blended over a canvas.
#pragma once

#include "canvas.h"

// A layer of w x h, both even, is one run of bytes without padding: Y and alpha of w x h, then U, V and the alpha
// of chroma of w/2 x h/2. Colours are not multiplied by alpha. r is the part that is meant, on even pixels and on
// the layer; (x, y), even, is where its corner lies on the canvas, which holds all of it.

// fl_layer_blend draws the part over the canvas.
void fl_layer_blend(FLCanvas *c, const uint8_t *layer, int w, int h, FLRect r, int x, int y);
// fl_layer_copy draws the part as if alpha were 255 everywhere.
void fl_layer_copy(FLCanvas *c, const uint8_t *layer, int w, int h, FLRect r, int x, int y);
// fl_layer_grab takes the colours of the part from the canvas; alpha stays.
void fl_layer_grab(const FLCanvas *c, uint8_t *layer, int w, int h, FLRect r, int x, int y);
