interface Listeners {
  readonly acts: Set<() => void>;
  /** The signal's own listener. */
  readonly fire: () => void;
}

const bySignal = new WeakMap<AbortSignal, Listeners>();

/**
 * Calls `act` when the signal fires; what it gives takes that back. One listener a signal, however many wait for it: Node
 * warns of more than ten.
 */
export function onAbort(signal: AbortSignal, act: () => void): () => void {
  const listeners = bySignal.get(signal) ?? listen(signal);
  listeners.acts.add(act);
  return () => {
    listeners.acts.delete(act);
    if (listeners.acts.size > 0 || bySignal.get(signal) !== listeners) return;
    signal.removeEventListener('abort', listeners.fire);
    bySignal.delete(signal);
  };
}

function listen(signal: AbortSignal): Listeners {
  const acts = new Set<() => void>();
  const fire = (): void => {
    for (const act of [...acts]) act();
  };
  signal.addEventListener('abort', fire, { once: true });
  const listeners = { acts, fire };
  bySignal.set(signal, listeners);
  return listeners;
}
