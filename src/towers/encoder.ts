import type { LayersModel, NamedTensorMap, Tensor, Tensor2D, Variable } from '@tensorflow/tfjs';
import { LichenArgumentError, shown } from '../errors.js';
import type { TensorFlow } from '../tensorflow/tensorflow.js';
import { SparseAdam } from './sparse-adam.js';

/** What a tower is applied to: one tensor, or several by the names of the model's inputs. */
export type EncoderInputs = Tensor | Readonly<Record<string, Tensor>>;

/** A tower as a function. Of a method's type, so that one that takes a tensor of some rank is one as well. */
export type EncoderFunction = {
  /** Vectors of shape [rows, dim]. */
  apply(inputs: EncoderInputs): Tensor2D;
}['apply'];

/** A tower that is a network. */
export interface EncoderSpec {
  /** A model, or a function on tensors; it gives vectors of shape [rows, dim]. Training changes its weights. */
  readonly model: LayersModel | EncoderFunction;
  /**
   * Gives the inputs of some users or items by their numbers, one row each. What tensors it makes are disposed of when
   * they have been used; those that it made before stay.
   */
  readonly inputs: (rows: Int32Array) => EncoderInputs;
  /** What training changes, for a function; a model knows its own trainable weights. */
  readonly variables?: readonly Variable[] | undefined;
}

/** A tower applied to some rows. */
export interface EncoderPass {
  /** What its output depends on and training changes. */
  readonly variables: readonly Variable[];
  /** The vectors, of shape [rows, dim]; derivable. */
  output(): Tensor2D;
  /** Takes a step for those variables that the optimizer does not know. */
  learn(gradients: NamedTensorMap): void;
  /** Frees what the pass holds. */
  end(): void;
}

/** A tower. */
export interface Encoder {
  /** To be called within `tf.tidy`. */
  begin(rows: Int32Array, training: boolean): EncoderPass;
}

/** A tower that is a model or a function of TensorFlow.js. */
export class NetworkEncoder implements Encoder {
  private readonly variables: readonly Variable[];

  /** @throws ERR_LICHEN_ARGUMENT for what is no tower, ERR_LICHEN_EMPTY if there is nothing to train. */
  constructor(
    private readonly name: string,
    readonly spec: EncoderSpec,
  ) {
    const { model, inputs, variables } = requireSpec(name, spec);
    if (typeof inputs !== 'function') {
      throw bad(`${name}.inputs must be a function, got ${shown(inputs)}`);
    }
    if (typeof model === 'function') {
      if (!Array.isArray(variables)) {
        throw bad(`${name}.variables must be an array, as its model is a function`);
      }
      this.variables = variables as readonly Variable[];
    } else {
      if (variables !== undefined)
        throw bad(`${name}.variables belong to a model that is a function`);
      this.variables = model.trainableWeights.map((weight) => weight.read() as Variable);
    }
  }

  begin(rows: Int32Array, training: boolean): EncoderPass {
    const inputs = this.spec.inputs(rows);
    return {
      variables: this.variables,
      output: () => this.requireOutput(this.apply(inputs, rows.length, training), rows.length),
      learn: () => {},
      end: () => {},
    };
  }

  private apply(inputs: EncoderInputs, rows: number, training: boolean): unknown {
    const { model } = this.spec;
    if (typeof model === 'function') return model(inputs);
    const tensors = isTensor(inputs) ? [inputs] : model.inputs.map(({ name }) => inputs[name]);
    model.inputs.forEach((input, at) => {
      const shape: readonly (number | null)[] = input.shape;
      const got: unknown = tensors[at];
      const fits =
        isTensor(got) &&
        got.shape.length === shape.length &&
        got.shape.every((size, axis) => size === (axis === 0 ? rows : (shape[axis] ?? size)));
      if (fits) return;
      const wanted = [rows, ...shape.slice(1).map((size) => size ?? 'any')].join(', ');
      throw new LichenArgumentError(
        'ERR_LICHEN_DIMENSION',
        `${this.name}.inputs must give ${JSON.stringify(input.name)} of shape [${wanted}], ` +
          `got ${isTensor(got) ? `[${got.shape.join(', ')}]` : shown(got)}`,
      );
    });
    const given = tensors as Tensor[];
    return model.apply(given.length === 1 ? given[0]! : given, { training });
  }

  private requireOutput(output: unknown, rows: number): Tensor2D {
    if (isTensor(output) && output.shape.length === 2 && output.shape[0] === rows) {
      return output as Tensor2D;
    }
    const got = isTensor(output) ? `shape [${output.shape.join(', ')}]` : shown(output);
    throw new LichenArgumentError(
      'ERR_LICHEN_DIMENSION',
      `${this.name} must give a tensor of shape [${rows}, dim], got ${got}`,
    );
  }
}

/** A tower that is a table: a vector a row, of which a step touches the batch's alone. */
export class TableEncoder implements Encoder {
  private adam: SparseAdam | undefined;

  constructor(
    private readonly tf: TensorFlow,
    /** Row-major, changed in place by training. */
    readonly table: Float32Array,
    private readonly dim: number,
    private readonly learningRate: number,
  ) {}

  begin(rows: Int32Array): EncoderPass {
    const { table, dim, tf } = this;
    const values = new Float32Array(rows.length * dim);
    rows.forEach((row, at) => values.set(table.subarray(row * dim, (row + 1) * dim), at * dim));
    const variable = tf.variable(tf.tensor2d(values, [rows.length, dim]));
    return {
      variables: [variable],
      output: () => variable,
      learn: (gradients) => {
        const gradient = gradients[variable.name]!.dataSync<'float32'>();
        this.adam ??= new SparseAdam(table, dim);
        this.adam.step(rows, gradient, this.learningRate);
      },
      end: () => variable.dispose(),
    };
  }
}

function isTensor(value: unknown): value is Tensor {
  return value !== null && typeof value === 'object' && 'dataId' in value && 'shape' in value;
}

function requireSpec(name: string, spec: EncoderSpec): EncoderSpec {
  const model: unknown = (spec as Partial<EncoderSpec> | null)?.model;
  const isModel =
    typeof model === 'function' ||
    (model !== null && typeof model === 'object' && 'trainableWeights' in model);
  if (isModel) return spec;
  throw bad(`${name}.model must be a LayersModel or a function, got ${shown(model)}`);
}

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}
