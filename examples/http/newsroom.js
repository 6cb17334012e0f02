// @ts-check
/**
 * What the programs of this folder have in common: a newsroom whose articles are files, and the pages about them, which all
 * processes over one folder share, whatever framework each of them uses.
 *
 *     GET /           all articles, tagged with `news`
 *     GET /news/1     one article, tagged with `news:1`
 *     POST /news/1    its new text: both pages go, in every process
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCache } from 'tierwheel'
import { fileBus } from 'tierwheel/bus/file'
import { httpCache } from 'tierwheel/http'
import { fileTier } from 'tierwheel/tiers/file'

/** Where it is; with an argument, the folder that it shares with others. */
const folder = process.argv[2] ?? mkdtempSync(join(tmpdir(), 'tierwheel-news-'))
const articles = join(folder, 'articles')
mkdirSync(articles, { recursive: true })

const directory = join(folder, 'cache')
mkdirSync(directory, { recursive: true, mode: 0o700 })
const cache = createCache({ tiers: [fileTier({ directory })], bus: fileBus({ directory }) })

/** Pages say how long they are good, and name their tags in a field that no client sees. */
export const pages = httpCache({ cache, tagField: 'Cache-Tag' })

/**
 * The page of a path, with its fields.
 *
 * @param {string} path
 * @param {string} maker shown in the page, so that it can be seen who made it
 */
export function pageOf(path, maker) {
  const id = /^\/news\/([0-9]+)$/.exec(path)?.[1]
  const names = id === undefined ? readdirSync(articles) : [id]
  const texts = names.map((name) => readFileSync(join(articles, name), 'utf8'))
  return {
    body: `${texts.join(' | ')} (made by ${maker})`,
    headers: {
      'Content-Type': 'text/plain; charset=utf-8',
      'Cache-Control': 'max-age=600',
      'Cache-Tag': id === undefined ? 'news' : `news:${id}`,
    },
  }
}

/**
 * Changes an article, and takes back what was made of it. When it resolves, this process shows nothing older.
 *
 * @param {string} path
 * @param {string} text
 */
export async function change(path, text) {
  const id = /^\/news\/([0-9]+)$/.exec(path)?.[1]
  if (id === undefined) throw new TypeError(`${path} is no article`)
  writeFileSync(join(articles, id), text)
  await pages.invalidateTags(['news', `news:${id}`])
}

/**
 * Says where the program listens; a program that was started by another one ends with it.
 *
 * @param {import('node:net').AddressInfo | string | null} address
 */
export function listening(address) {
  const port = typeof address === 'object' ? address?.port : undefined
  console.log(`http://127.0.0.1:${port}/`)
  process.send?.({ port })
  process.on('disconnect', () => process.exit())
}
