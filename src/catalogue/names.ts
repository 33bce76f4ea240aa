/** Genres of the built-in catalogue. */
export const GENRES = Object.freeze([
  'ambient',
  'blues',
  'chamber',
  'disco',
  'folk',
  'funk',
  'house',
  'jazz',
  'metal',
  'reggae',
  'soul',
  'synth-pop',
]);

const words = (text: string): readonly string[] => text.trim().split(/\s+/);

const ADJECTIVES = words(`
  Amber Blue Borrowed Bright Broken Copper Crooked Distant Dusty Early Electric Empty Endless Faded Falling First
  Foreign Forgotten Fragile Frozen Gentle Gilded Golden Half-Lit Hidden Hollow Honest Idle Inner Iron Last Late Little
  Lonely Lost Low Midnight Modern Northern Open Paper Patient Perfect Plain Quiet Restless Salt Second Secret Silver
  Sleeping Slow Small Southern Stolen Sudden Sweet Tidal Velvet Wandering Wild Winter
`);

const NOUNS = words(`
  Afternoon Answer Avenue Bells Birds Bridge Candle City Coast Conversation Corner Country Curtain Dancer Daylight
  Devotion Distance Doorway Echo Ember Evening Fever Field Fire Garden Ghost Gravity Harbour Harvest Heart Horizon
  Hour House Island Journey Kingdom Ladder Lantern Letter Lighthouse Machine Map Memory Mirror Moon Motion Morning
  Mountain Ocean Orchard Parade Promise Rain River Road Room Shadow Signal Sky Song Station Storm Street Summer Sun
  Thunder Tide Train Valley Visitor Voice Water Weather Window Year
`);

const FIRST = words(`
  Ada Amos Anouk Bela Carmen Cleo Dario Edda Elio Farah Greta Hanna Idris Ines Jonas Kaito Lena Levi Mara Milo Nadia
  Noor Orla Oskar Petra Quinn Rafa Rosa Sami Tova Umar Vera Wanda Xenia Yara Zeno
`);

const LAST = words(`
  Abel Berg Castell Dahl Eklund Faro Grant Holt Ivers Jansen Keller Lund Marlow Nash Okoye Pell Quist Reyes Sato Thorn
  Ueda Vidal Weir Xu Yates Zeller
`);

/** Steps through all pairs of words in a mixed order: a step that shares no divisor with their number meets each once. */
function pairOf(
  n: number,
  first: readonly string[],
  second: readonly string[],
  step: number,
): string {
  const pair = (n * step) % (first.length * second.length);
  return `${first[pair % first.length]} ${second[Math.floor(pair / first.length)]}`;
}

/** The n-th title; the first few thousand are all different. */
export function trackTitle(n: number): string {
  return pairOf(n, ADJECTIVES, NOUNS, 1787);
}

/** The n-th person; the first nine hundred are all different. */
export function personName(n: number): string {
  return pairOf(n, FIRST, LAST, 385);
}
