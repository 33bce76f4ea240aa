import type { BatchView, StreamView } from './definitions.js';
import { FEATURE_STATUS, setMissing, type OpenFrame } from './frame.js';
import { RecordLayout } from './record.js';
import { StreamFold } from './stream-state.js';

/** Puts records of a view into rows of a frame: the same for serving and for training. */
export class ViewReader {
  private readonly layout: RecordLayout | undefined;
  private readonly fold: StreamFold | undefined;

  constructor(readonly view: BatchView | StreamView) {
    if (view.tier === 'batch') this.layout = new RecordLayout(view.features);
    else this.fold = new StreamFold(view);
  }

  /** Puts what a record says at a time into a row. False: it is no record of the view. */
  put(record: Uint8Array | undefined, now: number, frame: OpenFrame, row: number): boolean {
    const { view } = this;
    if (record === undefined) {
      setMissing(frame, view, row, 'missing');
      return true;
    }
    const time = this.decode(record, now, frame, row);
    if (time === undefined) {
      setMissing(frame, view, row, 'poisoned');
      return false;
    }
    // A clock that went back makes nothing younger than new.
    if (now - time > view.ttlMs) setMissing(frame, view, row, 'expired', time);
    else {
      frame.status[view.name]![row] = FEATURE_STATUS.found;
      frame.times[view.name]![row] = time;
    }
    return true;
  }

  private decode(
    record: Uint8Array,
    now: number,
    frame: OpenFrame,
    row: number,
  ): number | undefined {
    const columns = frame.columns[this.view.name]!;
    if (this.layout !== undefined) return this.layout.decode(record, columns, row);
    const state = this.fold!.decode(record);
    if (state === undefined) return undefined;
    this.fold!.evaluate(state, now, columns, row);
    return state.latest;
  }
}
