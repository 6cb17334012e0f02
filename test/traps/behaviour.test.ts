import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from '../../scripts/root.js'
import { behaviour } from './behaviour.js'

test('each rule of behaviour has a test that is named for it, and each such test a rule', () => {
  const folder = join(root, 'test/unit')
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.test.ts'),
  )
  const named = files.flatMap((path) => {
    const code = readFileSync(join(folder, path), 'utf8')
    return [...code.matchAll(/\btest(?:\.each\([^\n]*\))?\(\s*['`"]rule ([0-9.]+): /g)].map(
      ([, number]) => number,
    )
  })
  expect([...new Set(named)].sort()).toEqual(behaviour.map(([number]) => number).sort())
})
