import { LichenArgumentError } from '../errors.js';
import { interactionsFromPairs, type Interactions } from '../interactions/interactions.js';
import { Random } from '../vectors/random.js';
import { GENRES, personName, trackTitle } from './names.js';

/** A track of the built-in music service; its id is its position. */
export interface Track {
  /** Its title, made up. */
  readonly title: string;
  /** Who plays it, made up. */
  readonly artist: string;
  /** One of twelve genres. */
  readonly genre: string;
}

/** A listener of the built-in music service; its id is its position. */
export interface Listener {
  /** A name, made up. */
  readonly name: string;
  /** Favourite genres, the dearest first. */
  readonly genres: readonly string[];
}

/** A music service that exists only here: made from a seed, for trials without a download. */
export interface Catalogue {
  /** Tracks by id. */
  readonly tracks: readonly Track[];
  /** Listeners by id. */
  readonly listeners: readonly Listener[];
  /** Four fifths of what each listener heard. */
  readonly train: Interactions;
  /** The rest: what a recommender should find. */
  readonly test: Interactions;
}

/** Options of {@link makeCatalogue}. */
export interface CatalogueOptions {
  /** Number of listeners. Default 2,000. */
  listeners?: number | undefined;
  /** Number of tracks, at least 240. Default 3,000. */
  tracks?: number | undefined;
  /** Same seed, same catalogue. Default 42. */
  seed?: number | undefined;
}

/** Artists of a genre fall into so many styles, of which a listener favours one a genre. */
const STYLES = 3;
const TRACKS_AN_ARTIST = 8;
/** Exponent of popularity by rank within a style: plays of rank r are proportional to r^-0.8. */
const ZIPF = 0.8;
/** Shares of a listener's plays that go to favourite genres, by how dear they are; the rest to any. */
const GENRE_SHARES = [0.55, 0.25, 0.12];
/** Share of the plays in a favourite genre that stay within the favourite style. */
const STYLE_SHARE = 0.8;
const FEWEST_PLAYS = 15;
const MOST_PLAYS = 120;

/**
 * Makes a small music service: tracks with titles, artists and genres; listeners who favour a few genres and a style
 * within each; plays that follow both taste and a Zipf popularity.
 * @throws ERR_LICHEN_ARGUMENT for sizes out of range.
 *
 * @example
 * const { tracks, train, test } = makeCatalogue({ listeners: 500, tracks: 1000 });
 */
export function makeCatalogue(options: CatalogueOptions = {}): Catalogue {
  const { listeners: listenerCount = 2000, tracks: trackCount = 3000, seed = 42 } = options;
  requireSize('listeners', listenerCount, 1);
  requireSize('tracks', trackCount, 2 * MOST_PLAYS);
  const random = new Random(seed);
  const groups = GENRES.length * STYLES;
  // Track t belongs to group t mod groups; a lower t is a more popular one.
  const tracks = Array.from({ length: trackCount }, (_, t): Track => {
    const group = t % groups;
    const artist = group + groups * Math.floor(t / (groups * TRACKS_AN_ARTIST));
    return {
      title: trackTitle(t),
      artist: personName(artist),
      genre: GENRES[Math.floor(group / STYLES)]!,
    };
  });
  const listeners: Listener[] = [];
  const split = { train: new Pairs(), test: new Pairs() };
  for (let listener = 0; listener < listenerCount; listener++) {
    const order = random.shuffle(Array.from(GENRES.keys()));
    const favourites = order.slice(0, 1 + random.below(GENRE_SHARES.length));
    const styles = favourites.map(() => random.below(STYLES));
    listeners.push({
      name: personName(listener + 7),
      genres: favourites.map((genre) => GENRES[genre]!),
    });
    const plays = new Set<number>();
    // Skewed to the few: most listeners are occasional ones.
    const wanted = FEWEST_PLAYS + Math.floor((MOST_PLAYS - FEWEST_PLAYS) * random.uniform() ** 2.5);
    while (plays.size < wanted) {
      const group = pickGroup(random, favourites, styles);
      plays.add(pickTrack(random, group, groups, trackCount));
    }
    const heard = random.shuffle([...plays]);
    const kept = Math.ceil(heard.length * 0.8);
    heard.forEach((track, at) => (at < kept ? split.train : split.test).add(listener, track));
  }
  const train = split.train.finish();
  return { tracks, listeners, train, test: split.test.finish(train) };
}

class Pairs {
  readonly #users: number[] = [];
  readonly #items: number[] = [];

  add(user: number, item: number): void {
    this.#users.push(user);
    this.#items.push(item);
  }

  finish(like?: Interactions): Interactions {
    return interactionsFromPairs(this.#users, this.#items, {
      users: like?.users,
      items: like?.items,
    });
  }
}

function pickGroup(
  random: Random,
  favourites: readonly number[],
  styles: readonly number[],
): number {
  let left = random.uniform();
  for (let at = 0; at < favourites.length; at++) {
    left -= GENRE_SHARES[at]!;
    if (left >= 0) continue;
    const style = random.uniform() < STYLE_SHARE ? styles[at]! : random.below(STYLES);
    return favourites[at]! * STYLES + style;
  }
  return random.below(GENRES.length * STYLES);
}

/** A track of a group; rank r = u^(1 / (1 - s)) inverts the Zipf distribution's tail closely enough. */
function pickTrack(random: Random, group: number, groups: number, trackCount: number): number {
  const size = Math.floor((trackCount - group - 1) / groups) + 1;
  const rank = Math.floor(size * random.uniform() ** (1 / (1 - ZIPF)));
  return group + groups * rank;
}

function requireSize(name: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw new LichenArgumentError(
    'ERR_LICHEN_ARGUMENT',
    `${name} must be an integer of at least ${least}, got ${String(value)}`,
  );
}
