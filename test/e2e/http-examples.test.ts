// The programs of examples/http, one process each over one folder: a page that one framework made is answered by all the
// others, and when one of them changes what it was made of, no process shows it any longer.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { root } from '../../scripts/root.js'
import { ask } from '../support/http-client.ts'

const folder = mkdtempSync(join(tmpdir(), 'tierwheel-news-test-'))
const examples = join(root, 'examples/http')
const names = readdirSync(examples)
  .filter((name) => name !== 'newsroom.js')
  .map((name) => name.slice(0, -3))
const children: ChildProcess[] = []
const ports = new Map<string, number>()

beforeAll(async () => {
  await Promise.all(
    names.map(async (name) => {
      const child = fork(join(examples, `${name}.js`), [folder], { silent: true })
      children.push(child)
      const [message] = await Promise.race([
        once(child, 'message'),
        once(child, 'exit').then(() => Promise.reject(new Error(`${name} has ended`))),
      ])
      ports.set(name, (message as { port: number }).port)
    }),
  )
}, 120_000)

afterAll(() => {
  for (const child of children) child.kill()
  rmSync(folder, { recursive: true, force: true })
})

/** Everybody is asked by one name, so that they have the same pages. */
const host = 'news.example'

async function get(name: string, path: string): Promise<string> {
  const { status, body, headers } = await ask(ports.get(name) as number, path, { host })
  expect([status, headers['cache-tag']], `${name} ${path}: ${body}`).toEqual([200, undefined])
  return body
}

async function post(name: string, path: string, text: string): Promise<void> {
  const fields = { host, 'content-type': 'text/plain', 'content-length': String(text.length) }
  expect((await ask(ports.get(name) as number, path, fields, 'POST', text)).status, name).toBe(204)
}

test('all frameworks share their pages, and each takes back those of all', { timeout: 120_000 }, async () => {
  expect(names).toEqual(['express', 'fastify', 'fetch', 'h3', 'hono', 'koa', 'node'])
  for (const [turn, changer] of names.entries()) {
    const text = `text ${turn}`
    await post(changer, '/news/1', text)
    // At once where it was changed, and where the others hear of it; how often they are asked is no measure of time.
    for (const path of ['/news/1', '/']) {
      const page = await get(changer, path)
      expect(page).toContain(text)
      for (const name of names) {
        let seen = await get(name, path)
        for (let again = 0; !seen.includes(text); again++) {
          expect(again, `${name} still has ${seen}`).toBeLessThan(2_000)
          seen = await get(name, path)
        }
        expect(seen, name).toMatch(/ \(made by [A-Za-z0-9:]+\)$/)
      }
    }
    const pages = new Set(await Promise.all(names.map((name) => get(name, '/news/1'))))
    expect(pages.size, [...pages].join('; ')).toBe(1)
  }
})
