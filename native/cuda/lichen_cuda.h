/*
 * What the module for NVIDIA devices offers: a table of functions in plain C. The addon opens the
 * module at run time, where there is a driver, and asks for the table by its version; nothing else
 * connects the two.
 *
 * Every function returns a LichenCudaStatus. Whatever went wrong, the process goes on, and
 * message() says what it was, for the calling thread. All may be called by several threads at once;
 * of one object, put, truncate and destroy need it alone. Bytes are little-endian, and lie as
 * native/codecs/codec.hpp says.
 */
#ifndef LICHEN_CUDA_H
#define LICHEN_CUDA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LICHEN_CUDA_ABI 1

typedef enum LichenCudaStatus {
  LICHEN_CUDA_OK = 0,
  LICHEN_CUDA_NO_DRIVER = 1,    /* none, or the module cannot be opened */
  LICHEN_CUDA_OLD_DRIVER = 2,   /* older than what the module was built with needs */
  LICHEN_CUDA_NO_DEVICE = 3,    /* no device, or none of that number */
  LICHEN_CUDA_WRONG_DEVICE = 4, /* no code in the module for it (compute capability below 8.0) */
  LICHEN_CUDA_MEMORY = 5,       /* of the device, or pinned memory of the host */
  LICHEN_CUDA_LOST =
      6, /* the device failed; what was on it is gone, and only a new process gets it back */
  LICHEN_CUDA_ARGUMENT = 7,
  LICHEN_CUDA_UNSUPPORTED = 8, /* too large for the kernels: the caller does it itself */
  LICHEN_CUDA_FAILED = 9
} LichenCudaStatus;

typedef struct LichenCudaDevice {
  char name[256];
  int32_t major, minor; /* compute capability */
  int32_t multiprocessors;
  int32_t driver, runtime; /* 1000 × major + 10 × minor */
  uint64_t memory, free;   /* bytes */
} LichenCudaDevice;

/* In the order of native/codecs/storage_type.hpp. */
typedef enum LichenCudaType {
  LICHEN_CUDA_F32 = 0,
  LICHEN_CUDA_F16 = 1,
  LICHEN_CUDA_BF16 = 2,
  LICHEN_CUDA_I8 = 3,
  LICHEN_CUDA_B1 = 5
} LichenCudaType;

typedef struct LichenCudaSpec {
  int32_t device;
  int32_t type;
  int32_t is_l2; /* float types: squared distances; else −⟨x, q⟩ */
  uint64_t dim;
  uint64_t row_bytes;
} LichenCudaSpec;

/* Rows as they lie in the memory of the host; factors may be null (i8, b1: see CodeRows). */
typedef struct LichenCudaSource {
  const uint8_t* codes;
  const float* scales;
  const float* offsets;
  const float* squares;
} LichenCudaSource;

/* A prepared query: of float types `values`, dim of them; else one signed byte a code and factors
 * (see CodeQuery). */
typedef struct LichenCudaQuery {
  const float* values;
  const int8_t* bytes;
  float base, per_sum, per_row, per_offset;
} LichenCudaQuery;

typedef struct LichenCudaHit {
  float distance;
  uint32_t row;
} LichenCudaHit;

typedef struct LichenCudaSearch {
  const LichenCudaQuery* queries;
  uint64_t count;
  uint64_t k;
  uint64_t rows;           /* the first so many are searched */
  LichenCudaSource source; /* of all rows: those that are not on the device are read from there */
  const uint8_t* bits;     /* rows that may be found, bit r % 8 of byte r / 8; null: all */
  uint64_t bits_bytes;     /* rows past them may not be found */
  LichenCudaHit* hits;     /* count × k, the nearest first, of equals the lower row */
  uint32_t* counts;        /* of hits, a query */
  /* A query; 0: rows lie so near to each other that one which is not among the hits may be nearer,
     by what the rounding of float types did to those that were looked at more closely: the caller
     looks itself. */
  uint8_t* certain;
} LichenCudaSearch;

typedef struct LichenCudaRows LichenCudaRows;
typedef struct LichenCudaTensor LichenCudaTensor;

/* c = op(a) × op(b) for each of `batch`, row-major; a stride of 0 takes the same matrix for all. */
typedef struct LichenCudaProduct {
  const LichenCudaTensor* a;
  const LichenCudaTensor* b;
  LichenCudaTensor* c;
  uint64_t batch, m, n, k;
  uint64_t a_stride, b_stride; /* values from one matrix to the next */
  int32_t transpose_a, transpose_b;
} LichenCudaProduct;

typedef struct LichenCudaApi {
  uint32_t abi;
  const char* (*message)(void);
  int (*device_count)(int32_t* count);
  int (*device)(int32_t device, LichenCudaDevice* out);

  /* Rows on a device. `most_bytes`: of device memory for them, 0 for what is free; rows that do not
     fit are read from the host's memory by each search. */
  int (*rows_create)(const LichenCudaSpec* spec, uint64_t most_bytes, LichenCudaRows** out);
  void (*rows_destroy)(LichenCudaRows* rows);
  /* Takes rows [first, first + count) of the source; first is at most what it has. */
  int (*rows_put)(LichenCudaRows* rows, const LichenCudaSource* source, uint64_t first,
                  uint64_t count);
  int (*rows_truncate)(LichenCudaRows* rows, uint64_t count);
  /* How many there are, and bytes of device memory. */
  int (*rows_size)(const LichenCudaRows* rows, uint64_t* count, uint64_t* resident,
                   uint64_t* bytes);
  int (*rows_search)(LichenCudaRows* rows, const LichenCudaSearch* search);

  /* float32 tensors on a device. */
  int (*tensor_create)(int32_t device, uint64_t length, LichenCudaTensor** out);
  void (*tensor_destroy)(LichenCudaTensor* tensor);
  int (*tensor_put)(LichenCudaTensor* tensor, const float* values);
  int (*tensor_get)(const LichenCudaTensor* tensor, float* values);
  int (*matrix_product)(const LichenCudaProduct* product);
  /* Of each of `rows` rows of `columns` values; may be in place. */
  int (*softmax)(const LichenCudaTensor* in, LichenCudaTensor* out, uint64_t rows,
                 uint64_t columns);
  /* The k largest of each row, descending, of equals the lower column; k at most 1024. */
  int (*top_k)(const LichenCudaTensor* in, uint64_t rows, uint64_t columns, uint64_t k,
               float* values, int32_t* indices);
} LichenCudaApi;

/* Null for another version. The only symbol of the module. */
#if defined(_WIN32)
__declspec(dllexport)
#else
__attribute__((visibility("default")))
#endif
    const LichenCudaApi* lichen_cuda_api(uint32_t abi);

#ifdef __cplusplus
}
#endif

#endif
