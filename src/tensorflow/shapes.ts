/** The greatest extent or step that native calls take. */
const MOST = 2 ** 31 - 1;

/** Elements of an array of the shape. */
export function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}

/** Steps from an element to the next along each axis of an array without gaps. */
export function stepsOf(shape: readonly number[]): number[] {
  const steps = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    steps[axis] = step;
    step *= shape[axis]!;
  }
  return steps;
}

/** An axis counted from the end if negative. */
export function axisOf(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

/** Whether both shapes are the same. */
export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}

/** Axes of two views as native calls take them, and the shape that they make. */
export interface Broadcast {
  readonly shape: number[];
  readonly axes: Int32Array;
}

/** How two arrays go together element by element; undefined if they do not, or are too large for native calls. */
export function broadcast(a: readonly number[], b: readonly number[]): Broadcast | undefined {
  const [aSize, bSize] = [sizeOf(a), sizeOf(b)];
  if (aSize > MOST || bSize > MOST) return undefined;
  if (sameShape(a, b)) return { shape: [...a], axes: Int32Array.of(aSize, 1, 1) };
  if (bSize === 1 && b.length <= a.length) {
    return { shape: [...a], axes: Int32Array.of(aSize, 1, 0) };
  }
  if (aSize === 1 && a.length <= b.length) {
    return { shape: [...b], axes: Int32Array.of(bSize, 0, 1) };
  }
  return broadcastAxes(a, b);
}

function broadcastAxes(a: readonly number[], b: readonly number[]): Broadcast | undefined {
  const rank = Math.max(a.length, b.length);
  const shape = new Array<number>(rank);
  // From the last axis on; an axis joins the one after it where both operands go on in the same way.
  const [extents, aSteps, bSteps]: [number[], number[], number[]] = [[], [], []];
  let [aStep, bStep] = [1, 1];
  for (let back = 1; back <= rank; back++) {
    const aExtent = a[a.length - back] ?? 1;
    const bExtent = b[b.length - back] ?? 1;
    if (aExtent !== bExtent && aExtent !== 1 && bExtent !== 1) return undefined;
    const extent = aExtent === 1 ? bExtent : aExtent;
    shape[rank - back] = extent;
    if (extent === 1) continue;
    const steps = [aExtent === 1 ? 0 : aStep, bExtent === 1 ? 0 : bStep] as const;
    const last = extents.length - 1;
    const joins =
      last >= 0 &&
      steps[0] === aSteps[last]! * extents[last]! &&
      steps[1] === bSteps[last]! * extents[last]!;
    if (joins) extents[last]! *= extent;
    else {
      extents.push(extent);
      aSteps.push(steps[0]);
      bSteps.push(steps[1]);
    }
    aStep *= aExtent;
    bStep *= bExtent;
  }
  if (sizeOf(shape) > MOST) return undefined;
  return {
    shape,
    axes: Int32Array.from([...extents.reverse(), ...aSteps.reverse(), ...bSteps.reverse()]),
  };
}

/** Axes of a copy; undefined if they are too large or too many for native calls. */
export function copyAxes(
  extents: readonly number[],
  inSteps: readonly number[],
  outSteps: readonly number[],
): Int32Array | undefined {
  const numbers = [...extents, ...inSteps, ...outSteps];
  if (extents.length > 12 || numbers.some((number) => Math.abs(number) > MOST)) return undefined;
  return Int32Array.from(numbers);
}
