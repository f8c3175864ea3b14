// The filters of ratio.c with AVX2, to the same results: sums of products saturate only where the sample does.
//
// A block that does not fill a vector is made with samples of the block before, once more, so that nothing is read
// or written beyond a row.
#include "ratio.h"

#ifdef FL_HAS_AVX2
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

// pair_of is taps t and t+1 in each lane of 16 bits.
AVX2 static inline __m256i pair_of(const FLFilter *f, int t) {
	return _mm256_set1_epi16((int16_t)((uint8_t)f->tap[t] | f->tap[t + 1] << 8));
}

// rounded is 128ths to samples, not yet packed.
AVX2 static inline __m256i rounded(__m256i sums) {
	return _mm256_srai_epi16(_mm256_adds_epi16(sums, _mm256_set1_epi16(64)), 7);
}

// The number of taps is a constant where these two are called: then the loops over taps are unrolled.
AVX2 static inline __attribute__((always_inline)) int filter_column(const FLFilter *f, int taps, const uint8_t *const *rows,
                                                                    uint8_t *out, int n) {
	if (n < 32)
		return 0;
	__m256i k[3];
	const uint8_t *from[6];
#pragma GCC unroll 6
	for (int t = 0; t < taps; t++) {
		from[t] = rows[t];
		k[t / 2] = pair_of(f, t & ~1);
	}
	for (int block = 0; block < n; block += 32) {
		int x = block + 32 <= n ? block : n - 32;
		__m256i low = _mm256_setzero_si256(), high = low;
#pragma GCC unroll 3
		for (int t = 0; t < taps; t += 2) {
			__m256i a = _mm256_loadu_si256((const __m256i *)(from[t] + x));
			__m256i b = _mm256_loadu_si256((const __m256i *)(from[t + 1] + x));
			low = _mm256_adds_epi16(low, _mm256_maddubs_epi16(_mm256_unpacklo_epi8(a, b), k[t / 2]));
			high = _mm256_adds_epi16(high, _mm256_maddubs_epi16(_mm256_unpackhi_epi8(a, b), k[t / 2]));
		}
		_mm256_storeu_si256((__m256i *)(out + x), _mm256_packus_epi16(rounded(low), rounded(high)));
	}
	return n;
}

// two_loads puts 16 bytes from each address into a vector.
AVX2 static inline __m256i two_loads(const uint8_t *a, const uint8_t *b) {
	return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)a)),
	                               _mm_loadu_si128((const __m128i *)b), 1);
}

// filter_row makes 32 samples of 16 steps at a time. It reads two samples before the row and up to 16 beyond.
AVX2 static inline __attribute__((always_inline)) int filter_row(const FLFilter *f, int taps, const uint8_t *row,
                                                                 uint8_t *out, int n) {
	n &= ~1;
	if (n < 32)
		return 0;
	__m256i k[3], shuffle[3];
#pragma GCC unroll 3
	for (int t = 0; t < taps; t += 2) {
		k[t / 2] = pair_of(f, t);
		shuffle[t / 2] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)f->shuffle[t / 2]));
	}
	int quarter = 4 * f->step;
	for (int block = 0; block < n; block += 32) {
		int x = block + 32 <= n ? block : n - 32;
		const uint8_t *from = row + f->step * (x / 2) - 2;
		// The first and the third quarter, the second and the fourth: packing puts them in order.
		__m256i a = two_loads(from, from + 2 * quarter), sums_a = _mm256_setzero_si256();
		__m256i b = two_loads(from + quarter, from + 3 * quarter), sums_b = sums_a;
#pragma GCC unroll 3
		for (int t = 0; t < taps / 2; t++) {
			sums_a = _mm256_adds_epi16(sums_a, _mm256_maddubs_epi16(_mm256_shuffle_epi8(a, shuffle[t]), k[t]));
			sums_b = _mm256_adds_epi16(sums_b, _mm256_maddubs_epi16(_mm256_shuffle_epi8(b, shuffle[t]), k[t]));
		}
		_mm256_storeu_si256((__m256i *)(out + x), _mm256_packus_epi16(rounded(sums_a), rounded(sums_b)));
	}
	return n;
}

AVX2 int fl_filter_column_avx2(const FLFilter *f, const uint8_t *const *rows, uint8_t *out, int n) {
	return f->taps == 6 ? filter_column(f, 6, rows, out, n) : filter_column(f, 4, rows, out, n);
}

AVX2 int fl_filter_row_avx2(const FLFilter *f, const uint8_t *row, uint8_t *out, int n) {
	return f->taps == 6 ? filter_row(f, 6, row, out, n) : filter_row(f, 4, row, out, n);
}

// fl_halve_row_avx2 makes 32 samples at a time, each of which is in the middle of six. It reads two samples before the row and
// two beyond.
AVX2 int fl_halve_row_avx2(const FLFilter *f, const uint8_t *row, uint8_t *out, int n) {
	if (n < 32)
		return 0;
	const __m256i before = pair_of(f, 0), after = pair_of(f, 2), middle = pair_of(f, 4);
	for (int block = 0; block < n; block += 32) {
		int x = block + 32 <= n ? block : n - 32;
		__m256i sums[2];
		for (int i = 0; i < 2; i++) {
			const uint8_t *from = row + 2 * x + 32 * i;
			__m256i a = _mm256_maddubs_epi16(_mm256_loadu_si256((const __m256i *)(from - 2)), before);
			__m256i b = _mm256_maddubs_epi16(_mm256_loadu_si256((const __m256i *)(from + 2)), after);
			__m256i c = _mm256_maddubs_epi16(_mm256_loadu_si256((const __m256i *)from), middle);
			sums[i] = rounded(_mm256_adds_epi16(_mm256_adds_epi16(a, b), c));
		}
		__m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi16(sums[0], sums[1]), 0xd8);
		_mm256_storeu_si256((__m256i *)(out + x), packed);
	}
	return n;
}

// fl_box3_avx2 makes 8 samples at a time: of each row, the sums of the first two of three samples beside the third,
// then the sums of the rows, then those of both halves.
AVX2 int fl_box3_avx2(const uint8_t *const *rows, int width, uint8_t *out, int n) {
	const __m256i shuffle = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 3, 4, 6, 7, 9, 10, 2, -1, 5, -1, 8, -1, 11, -1));
	const __m256i ones = _mm256_set1_epi8(1);
	int x = 0;
	for (; x + 8 <= n && 3 * x + 28 <= width; x += 8) {
		__m256i sums = _mm256_set1_epi16(2); // twice two: half of nine, rounded down
		for (int r = 0; r < 3; r++) {
			const uint8_t *from = rows[r] + 3 * x;
			sums = _mm256_add_epi16(sums, _mm256_maddubs_epi16(_mm256_shuffle_epi8(two_loads(from, from + 12), shuffle), ones));
		}
		sums = _mm256_add_epi16(sums, _mm256_shuffle_epi32(sums, 0x4e));
		sums = _mm256_mulhi_epu16(sums, _mm256_set1_epi16(7282)); // a ninth
		sums = _mm256_packus_epi16(sums, sums);
		__m128i low = _mm256_castsi256_si128(sums), high = _mm256_extracti128_si256(sums, 1);
		_mm_storel_epi64((__m128i *)(out + x), _mm_unpacklo_epi32(low, high));
	}
	return x;
}
#endif
