/**
 * The built-in music service, made from a seed: items, listeners, and what they have heard.
 * @packageDocumentation
 */
export {
  makeCatalogue,
  type Catalogue,
  type CatalogueOptions,
  type Listener,
  type Track,
} from './catalogue.js';
