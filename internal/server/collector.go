package server

// spareHeap is by how much more than Go's collector would let it the heap grows: bytes.
const spareHeap = 96 << 20

// spare counts as heap in use, and so delays the collector by its size. Nobody writes to it: the system never gives
// it memory.
//
//lint:ignore U1000 it only has to be there
var spare []byte

// DelayCollector makes the collector of this process wait for 96 MiB of garbage more. Go's waits until the heap has
// doubled: the 30 MiB of a server with 10,000 channels have, once or twice a second under load, and a request that
// comes while it runs takes several times as long. A larger percentage (GOGC) would delay it as well, but by
// gigabytes where hundreds of streams are in memory, for which doubling is plenty.
func DelayCollector() { spare = make([]byte, spareHeap) }
