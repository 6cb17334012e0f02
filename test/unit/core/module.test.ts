import { readFileSync } from 'node:fs'
import { createContext, runInContext } from 'node:vm'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { compileCore, instantiateCore } from '../../../src/core/module.ts'

const bytes = new Uint8Array(readFileSync(new URL('../../../build/core.wasm', import.meta.url)))
const realModule = WebAssembly.Module

/** Has `construct` stand in for compiling until the test is over. */
function compileBy(construct: (bytes: BufferSource) => WebAssembly.Module): void {
  WebAssembly.Module = new Proxy(realModule, { construct: (_, [given]) => construct(given as BufferSource) })
}

afterEach(() => {
  vi.unstubAllGlobals()
  WebAssembly.Module = realModule
  vi.resetModules()
})

test('the core is compiled when it is first needed, and once', async () => {
  let count = 0
  compileBy((given) => {
    count++
    return new realModule(given)
  })
  const { coreModule } = await import('../../../src/core/module.ts')
  expect(count).toBe(0)
  const first = coreModule()
  expect(coreModule()).toBe(first)
  expect(count).toBe(1)
})

test('each instance has a memory of its own', () => {
  expect(instantiateCore().exports.memory).not.toBe(instantiateCore().exports.memory)
})

test('builtins are there exactly when the module needs no import for them', () => {
  const { module, readsStrings } = compileCore(bytes)
  expect(WebAssembly.Module.imports(module).map((needed) => needed.module)).toEqual(
    readsStrings ? [] : ['wasm:js-string', 'wasm:js-string'],
  )
})

test('without builtins a string handed over is refused, not misread', () => {
  const { exports } = instantiateCore({ module: new WebAssembly.Module(bytes), readsStrings: false })
  expect(exports.create(10, 0, 0, 0, 0)).toBe(0)
  expect(() => exports.getString('key', 0)).toThrow('cannot read strings')
})

test('the text in the package is the binary', async () => {
  const { coreModule } = await import('../../../src/core/module.ts')
  expect(WebAssembly.Module.exports(coreModule().module)).toEqual(
    WebAssembly.Module.exports(compileCore(bytes).module),
  )
})

describe('an environment that refuses', () => {
  /** What compiling throws where `refusal` is what the engine says. */
  function thrownFor(refusal: unknown): unknown {
    compileBy(() => {
      throw refusal
    })
    try {
      compileCore(bytes)
    } catch (error) {
      return error
    }
    return undefined
  }

  test.each([
    "WebAssembly.Module(): Refused to compile or instantiate WebAssembly module because 'unsafe-eval' is not an allowed source of script in the following Content Security Policy directive: \"script-src 'self'\"",
    'call to WebAssembly.Module() blocked by CSP',
  ])('the directive to change is named: %s', (message) => {
    const refusal = new WebAssembly.CompileError(message)
    const error = thrownFor(refusal) as Error
    expect(error.message).toContain("'wasm-unsafe-eval'")
    expect(error.message).toContain('script-src')
    expect(error.cause).toBe(refusal)
  })

  test('an engine told to generate no code is understood', () => {
    const context = createContext({}, { codeGeneration: { strings: false, wasm: false } })
    vi.stubGlobal('WebAssembly', runInContext('WebAssembly', context))
    expect(() => compileCore(bytes)).toThrow("'wasm-unsafe-eval'")
  })

  test('other errors arrive as they are', () => {
    expect(() => compileCore(new Uint8Array([1, 2, 3]))).toThrow(WebAssembly.CompileError)
  })

  test('a missing WebAssembly is said', () => {
    vi.stubGlobal('WebAssembly', undefined)
    expect(() => compileCore(bytes)).toThrow('tierwheel needs WebAssembly')
  })
})
