// A writer of the protobuf bytes of small ONNX models: as much of the format as the tests need.

type Field = readonly [number, number | string | Uint8Array | readonly Field[]];

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return [...bytes, value];
}

/** A message: fields by their numbers; a list of fields is a message within. */
function message(fields: readonly Field[]): Uint8Array {
  const bytes: number[] = [];
  for (const [number, value] of fields) {
    if (typeof value === 'number') {
      bytes.push(...varint(number * 8), ...varint(value));
      continue;
    }
    const content =
      typeof value === 'string'
        ? Buffer.from(value)
        : value instanceof Uint8Array
          ? value
          : message(value);
    bytes.push(...varint(number * 8 + 2), ...varint(content.length), ...content);
  }
  return Uint8Array.from(bytes);
}

const ELEMENT_TYPES = { float32: 1, int64: 7 } as const;

/** An input or output; a name in a shape is any size. */
export interface OnnxPort {
  readonly name: string;
  readonly type: keyof typeof ELEMENT_TYPES;
  readonly shape: readonly (number | string)[];
}

/** An operation by its type. */
export interface OnnxNode {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly output: string;
}

/** A constant of floats. */
export interface OnnxConstant {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

/** What a model consists of. */
export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  readonly constants: readonly OnnxConstant[];
  readonly inputs: readonly OnnxPort[];
  readonly outputs: readonly OnnxPort[];
}

function port({ name, type, shape }: OnnxPort): readonly Field[] {
  const sizes = shape.map((size): Field => [1, [[typeof size === 'number' ? 1 : 2, size]]]);
  return [[1, name], [2, [[1, [[1, ELEMENT_TYPES[type]], [2, sizes]]]]]]; // prettier-ignore
}

/** The bytes of a model (ir_version 8, opset 13). */
export function onnxModel({ nodes, constants, inputs, outputs }: OnnxGraph): Uint8Array {
  const graph: Field[] = [
    ...nodes.map((node): Field => [
      1,
      [...node.inputs.map((name): Field => [1, name]), [2, node.output], [4, node.type]],
    ]),
    [2, 'graph'],
    ...constants.map(({ name, shape, values }): Field => [
      5,
      [
        ...shape.map((size): Field => [1, size]),
        [2, ELEMENT_TYPES.float32],
        [8, name],
        [9, new Uint8Array(Float32Array.from(values).buffer)],
      ],
    ]),
    ...inputs.map((input): Field => [11, port(input)]),
    ...outputs.map((output): Field => [12, port(output)]),
  ];
  return message([[1, 8], [7, graph], [8, [[1, ''], [2, 13]]]]); // prettier-ignore
}
