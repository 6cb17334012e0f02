// Which tags a page carries: those of its route, those that the response names in a field, and one for each folder of
// its URL where pages are invalidated by prefix. They are tags of the cache below, so one call of `cache.deleteTags`
// reaches pages and the values they were made of alike. What cannot be a tag keeps the page out of the cache: nobody
// could take it back.

import { describe } from '../duration.ts'
import { checkTags } from '../options.ts'
import { sha256 } from './digest.ts'
import type { PageTags } from './options.ts'
import type { Fields } from './policy/fields.ts'
import type { RequestHead } from './policy/storable.ts'

/** Folders of a URL that have tags. More than any site has; a page may carry 64 tags in all. */
const DEEPEST = 16
const LONGEST_PLAIN_TAG = 200

/** What names the tags of a page. */
export interface TagSources {
  readonly ofRoute: PageTags
  /** Those that a field of the response names. */
  readonly ofField: readonly string[]
  /** What the tags of folders begin with; `undefined` where there are none. */
  readonly folderPrefix: string | undefined
}

/** The tags of a page, or `undefined` when they cannot be told or are too many. */
export function tagsOf(
  { ofRoute, ofField, folderPrefix }: TagSources,
  request: RequestHead & { readonly url: string },
  response: { readonly status: number; readonly fields: Fields },
): readonly string[] | undefined {
  try {
    const own = typeof ofRoute === 'function' ? ofRoute(request, response) : ofRoute
    const folders = folderPrefix === undefined ? [] : foldersOf(request.url)
    return checkTags([...own, ...ofField, ...folders.map((folder) => folderTag(folderPrefix ?? '', folder))])
  } catch {
    return undefined
  }
}

/** Of the tags of a page, those that are known before it is made. */
export function tagsAhead(
  ofRoute: PageTags,
  folderPrefix: string | undefined,
  url: string,
): readonly string[] {
  const folders = folderPrefix === undefined ? [] : foldersOf(url)
  const own = typeof ofRoute === 'function' ? [] : ofRoute
  return [...own, ...folders.map((folder) => folderTag(folderPrefix ?? '', folder))]
}

/** The tags that a field's value names: they stand between commas or blanks, as CDNs have it. */
export function namedIn(value: string | undefined): readonly string[] {
  return (value ?? '').split(/[,\s]+/).filter((tag) => tag !== '')
}

/**
 * The tag of a folder that someone names.
 *
 * @throws TypeError for what is no absolute URL of a folder. RangeError for one too deep.
 */
export function folderTagOf(folderPrefix: string, url: unknown): string {
  if (typeof url !== 'string' || !/^https?:\/\/[^/?#\s]+\/(?:[^?#\s]*\/)?$/.test(url)) {
    throw new TypeError(
      `url: ${describe(url)} is not an absolute URL of http or https that ends in a slash and has no query`,
    )
  }
  if (!foldersOf(url).includes(url)) {
    throw new RangeError(
      `url: ${describe(url)} is deeper than the ${DEEPEST} folders that pages are tagged with`,
    )
  }
  return folderTag(folderPrefix, url)
}

/** The folders that a page is in, from the site's root on: what of its path ends in a slash. */
function foldersOf(url: string): string[] {
  const query = url.indexOf('?')
  const path = query === -1 ? url : url.slice(0, query)
  const folders: string[] = []
  for (let at = path.indexOf('/', 8); at !== -1 && folders.length < DEEPEST; at = path.indexOf('/', at + 1)) {
    folders.push(path.slice(0, at + 1))
  }
  return folders
}

function folderTag(prefix: string, folder: string): string {
  const isPlain = folder.length <= LONGEST_PLAIN_TAG && /^[\x21-\x7e]*$/.test(folder)
  return isPlain ? `${prefix}:f:${folder}` : `${prefix}:F:${sha256(folder)}`
}
