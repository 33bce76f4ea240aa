/** Arrays that tensors have: float32, int32 and bool. */
export type TensorArray = Float32Array | Int32Array | Uint8Array;

/** Names of the operations of each family; a call takes the place of a name. */
export interface TensorOperations {
  readonly binary: readonly string[];
  readonly comparison: readonly string[];
  readonly logical: readonly string[];
  readonly unary: readonly string[];
  readonly reduction: readonly string[];
  readonly activation: readonly string[];
}

/**
 * The addon's functions on arrays, row-major and without gaps. Sizes and types are checked natively: what does not fit
 * throws ERR_LICHEN_ARGUMENT or ERR_LICHEN_DIMENSION before anything is written. Results must not overlap operands
 * unless they are the same array and of the same shape.
 *
 * `axes` are an extent for each axis, then a step for each axis of a first view, then of a second one, in elements.
 */
export interface TensorCalls {
  tensorOperations(): TensorOperations;
  /**
   * `out = activation(op(a) op(b) + bias)` for each of a batch; op transposes. An operand of one matrix serves the whole
   * batch.
   */
  tensorProduct(
    a: Float32Array,
    b: Float32Array,
    out: Float32Array,
    batch: number,
    rows: number,
    depth: number,
    columns: number,
    transposeA: boolean,
    transposeB: boolean,
    bias: Float32Array | null,
    activation: number,
    slope: number,
  ): void;
  /** The views are the operands, both float32 or both int32; steps along the last axis are 0 or 1. */
  tensorBinary<T extends Float32Array | Int32Array>(
    operation: number,
    axes: Int32Array,
    a: T,
    b: T,
    out: T,
  ): void;
  tensorComparison<T extends Float32Array | Int32Array>(
    operation: number,
    axes: Int32Array,
    a: T,
    b: T,
    out: Uint8Array,
  ): void;
  tensorLogical(
    operation: number,
    axes: Int32Array,
    a: Uint8Array,
    b: Uint8Array,
    out: Uint8Array,
  ): void;
  tensorUnary(operation: number, x: Float32Array, out: Float32Array, p: number, q: number): void;
  /** `a` and `b` are as long as the condition, or of one value. */
  tensorSelect(condition: Uint8Array, a: Float32Array, b: Float32Array, out: Float32Array): void;
  tensorCast(x: TensorArray, out: TensorArray): void;
  /** Copies elements of a view of `x` to those of a view of `out`, whose first ones are given. */
  tensorCopy<T extends TensorArray>(
    axes: Int32Array,
    x: T,
    firstOfX: number,
    out: T,
    firstOfOut: number,
  ): void;
  /** Over the middle one of three axes. */
  tensorReduction<T extends Float32Array | Int32Array>(
    operation: number,
    x: T,
    outer: number,
    length: number,
    inner: number,
    out: T,
  ): void;
  /** The place of the greatest or the least along the middle axis. */
  tensorExtreme(
    greatest: boolean,
    x: Float32Array,
    outer: number,
    length: number,
    inner: number,
    out: Int32Array,
  ): void;
  tensorSoftmax(x: Float32Array, rows: number, columns: number, out: Float32Array): void;
  tensorTopK(
    x: Float32Array,
    rows: number,
    columns: number,
    k: number,
    values: Float32Array,
    places: Int32Array,
  ): void;
  /** `out[b][o][i] = x[b][o][indices[b][i]]`, of `width` values each. */
  tensorGather<T extends TensorArray>(
    x: T,
    indices: Int32Array,
    batch: number,
    outer: number,
    rows: number,
    width: number,
    out: T,
  ): void;
  /** Sums the rows of each segment; ids that are no segment are passed over. */
  tensorSegmentSum(
    x: Float32Array,
    ids: Int32Array,
    width: number,
    segments: number,
    out: Float32Array,
  ): void;
  /** Step `step`, from 1, of Adam over whole arrays, in place. */
  adamStep(
    values: Float32Array,
    gradients: Float32Array,
    means: Float32Array,
    squares: Float32Array,
    step: number,
    rate: number,
    beta1: number,
    beta2: number,
    epsilon: number,
    weightDecay: number,
  ): void;
  /**
   * A step of the named rows, in place. Without `offsets` row i has gradient i; with them the gradient of the bag that
   * it is in, bag b having the places `offsets[b] … offsets[b + 1] - 1`. Weights null are all 1.
   */
  sparseAdamStep(
    table: Float32Array,
    dim: number,
    rows: Int32Array,
    gradients: Float32Array,
    offsets: Int32Array | null,
    weights: Float32Array | null,
    means: Float32Array,
    squares: Float32Array,
    steps: Int32Array,
    rate: number,
    beta1: number,
    beta2: number,
    epsilon: number,
    weightDecay: number,
  ): void;
  sparseAdagradStep(
    table: Float32Array,
    dim: number,
    rows: Int32Array,
    gradients: Float32Array,
    offsets: Int32Array | null,
    weights: Float32Array | null,
    squares: Float32Array,
    rate: number,
    epsilon: number,
    weightDecay: number,
  ): void;
  /**
   * A step of a sampled softmax: each pair of a row against the negatives, in one pass over the scores. Row r has the
   * pairs `pairOffsets[r] … pairOffsets[r + 1] - 1`; maskedColumns are the negatives that are none for a row, likewise.
   * Gives the loss, and its gradients in the last three arrays.
   */
  sampledSoftmaxStep(
    users: Float32Array,
    negatives: Float32Array,
    targets: Float32Array,
    dim: number,
    temperature: number,
    columnBias: Float32Array,
    maskOffsets: Int32Array,
    maskedColumns: Int32Array,
    pairOffsets: Int32Array,
    pairTargets: Int32Array,
    pairBias: Float32Array,
    rowWeights: Float32Array,
    ofUsers: Float32Array,
    ofNegatives: Float32Array,
    ofTargets: Float32Array,
  ): number;
  /** Each of `out` is 0 with the chance `share`, in [0, 1), else 1 / (1 - share); seed is a whole number. */
  dropoutMask(seed: number, share: number, out: Float32Array): void;
  /**
   * `out = scale * (base + Σ weights * x of the neighbours)`, row by row; node n has the neighbours
   * `offsets[n] … offsets[n + 1] - 1`. `out` is another array than the operands.
   */
  smoothRows(
    offsets: Int32Array,
    neighbours: Int32Array,
    weights: Float32Array,
    dim: number,
    x: Float32Array,
    base: Float32Array,
    scale: number,
    out: Float32Array,
  ): void;
  /** Rows divided by their lengths, and 1 / those; rows of zeros stay zeros. */
  unitRows(values: Float32Array, dim: number, unit: Float32Array, inverse: Float32Array): void;
  /** Turns gradients by unit rows into those by the rows they were made of, in place. */
  pullBackUnitRows(
    unit: Float32Array,
    inverse: Float32Array,
    dim: number,
    gradients: Float32Array,
  ): void;
  /** Weighted sums of the rows of each bag. */
  embeddingBag(
    table: Float32Array,
    dim: number,
    offsets: Int32Array,
    rows: Int32Array,
    weights: Float32Array | null,
    out: Float32Array,
  ): void;
}
