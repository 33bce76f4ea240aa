import type { BatchView, StreamView } from './definitions.js';
import { FEATURE_STATUS, setMissing, type OpenFrame } from './frame.js';
import { columnList } from './columns.js';
import { RecordLayout } from './record.js';
import { StreamFold } from './stream-state.js';

/** Puts records of a view into rows of frames: the same for serving and for training. */
export class ViewReader {
  private readonly layout: RecordLayout | undefined;
  private readonly fold: StreamFold | undefined;

  constructor(readonly view: BatchView | StreamView) {
    if (view.tier === 'batch') this.layout = new RecordLayout(view.stored);
    else this.fold = new StreamFold(view);
  }

  /** For the rows of one frame. */
  into(frame: OpenFrame): FrameFiller {
    const { view } = this;
    const columns = columnList(view.stored, frame.columns[view.name]!);
    const decode = (record: Uint8Array, now: number, row: number): number | undefined =>
      this.layout === undefined
        ? this.fold!.evaluate(record, now, columns, row)
        : this.layout.decode(record, columns, row);
    return new FrameFiller(view, frame, decode);
  }
}

/** Puts records of a view into the rows of a frame. */
export class FrameFiller {
  private readonly status: Uint8Array;
  private readonly times: Float64Array;

  constructor(
    private readonly view: BatchView | StreamView,
    private readonly frame: OpenFrame,
    private readonly decode: (record: Uint8Array, now: number, row: number) => number | undefined,
  ) {
    this.status = frame.status[view.name]!;
    this.times = frame.times[view.name]!;
  }

  /** Puts what a record says at a time into a row. False: it is no record of the view. */
  put(record: Uint8Array | undefined, now: number, row: number): boolean {
    const { view, frame } = this;
    if (record === undefined) {
      setMissing(frame, view, row, 'missing');
      return true;
    }
    const time = this.decode(record, now, row);
    if (time === undefined) {
      setMissing(frame, view, row, 'poisoned');
      return false;
    }
    // A clock that went back makes nothing younger than new.
    if (now - time > view.ttlMs) {
      setMissing(frame, view, row, 'expired', time);
    } else {
      this.status[row] = FEATURE_STATUS.found;
      this.times[row] = time;
    }
    return true;
  }
}
