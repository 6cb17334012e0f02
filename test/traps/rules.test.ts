import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from '../../scripts/root.js'
import { mutate } from '../simulation/mutants.js'
import { rules } from './rules.js'

test('each of the eighteen traps has one rule', () => {
  expect(rules.map(({ trap }) => trap)).toEqual(Array.from({ length: 18 }, (_, at) => at + 1))
})

test.each(rules)('the rule of $name is in the code', (rule) => {
  const path = join(root, 'src', rule.file)
  const code = readFileSync(path, 'utf8')
  expect(mutate(rule, path, code)).not.toBe(code)
})
