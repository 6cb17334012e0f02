import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  codeOf,
  makeDirectory,
  makeLevel,
  readStart,
  removeFile,
  replaceFile,
  writeNewFile,
} from '../../../src/backends/directory.ts'
import { makeFolder, removeFolder } from '../../support/folder.ts'

let folder = ''
beforeEach(() => {
  folder = makeFolder()
})
afterEach(() => removeFolder(folder))

test('makeDirectory makes every missing level, and takes one that is there and safe', () => {
  const path = join(folder, 'a', 'b', 'c')
  makeDirectory(path)
  makeDirectory(path)
  for (const level of ['a', join('a', 'b'), join('a', 'b', 'c')]) {
    expect(lstatSync(join(folder, level)).mode & 0o777, level).toBe(0o700)
  }
  chmodSync(path, 0o755)
  makeDirectory(path)
  expect(lstatSync(path).mode & 0o777, 'readable by others is the owner’s affair').toBe(0o755)
})

test('a file or a link in the place of a level is refused', () => {
  writeFileSync(join(folder, 'file'), '')
  mkdirSync(join(folder, 'real'), 0o700)
  symlinkSync(join(folder, 'real'), join(folder, 'link'))
  expect(() => makeLevel(join(folder, 'file'))).toThrow('not a directory')
  expect(() => makeLevel(join(folder, 'link'))).toThrow('not a directory')
  expect(() => makeDirectory(join(folder, 'file', 'below'))).toThrow()
  chmodSync(join(folder, 'real'), 0o702)
  expect(() => makeLevel(join(folder, 'real'))).toThrow('0702')
})

test('rule 3.2.8: replaceFile leaves the new file or the old one, and no other', () => {
  const path = join(folder, 'file')
  writeFileSync(`${path}.tmp`, 'left by the dead')
  replaceFile(path, [Buffer.from('one '), Buffer.from('piece')])
  expect(readFileSync(path, 'utf8')).toBe('one piece')
  expect(lstatSync(path).mode & 0o777).toBe(0o600)
  mkdirSync(join(folder, 'taken'))
  expect(() => replaceFile(join(folder, 'taken'), [Buffer.from('x')])).toThrow()
  expect(readdirSync(folder).sort()).toEqual(['file', 'taken'])
})

test('writeNewFile writes over nothing, links included', () => {
  const [target, link] = [join(folder, 'target'), join(folder, 'link')]
  symlinkSync(target, link)
  for (const path of [link, folder]) {
    let code: string | undefined
    try {
      writeNewFile(path, [Buffer.from('x')])
    } catch (error) {
      code = codeOf(error)
    }
    expect(code).toBe('EEXIST')
  }
  expect(existsSync(target)).toBe(false)
})

test('readStart reads plain files only, as far as it is told', () => {
  const path = join(folder, 'file')
  writeFileSync(path, 'something')
  expect(readStart(path, 4)).toMatchObject({ bytes: Buffer.from('some'), size: 9 })
  expect(readStart(join(folder, 'absent'), 4)).toBe(undefined)
  symlinkSync(path, join(folder, 'link'))
  expect(readStart(join(folder, 'link'), 4)).toBe('strange')
  expect(readStart(folder, 4)).toBe('strange')
})

test('removeFile removes a link and not what it leads to, and says whether something was there', () => {
  const [path, link] = [join(folder, 'file'), join(folder, 'link')]
  writeFileSync(path, 'stays')
  symlinkSync(path, link)
  expect([removeFile(link), removeFile(link), existsSync(path)]).toEqual([true, false, true])
})

test('codeOf knows the codes of system errors and of nothing else', () => {
  expect(codeOf(Object.assign(new Error(), { code: 'EIO' }))).toBe('EIO')
  for (const other of [new Error('EIO'), undefined, null, 'EIO', { code: 5 }])
    expect(codeOf(other)).toBe(undefined)
})
