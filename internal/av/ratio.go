package av

/*
#include "ratio.h"
*/
import "C"

// scalePlainly makes DrawPicture leave vector instructions out, for tests.
func scalePlainly(yes bool) { C.fl_scale_plainly(cBool(yes)) }
