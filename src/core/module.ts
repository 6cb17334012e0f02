// The core's bytes become a compiled module: once per process, and not before the first cache needs it.
//
// One binary has both key paths. It imports two functions of `wasm:js-string`, the builtins by which
// WebAssembly reads a JavaScript string without copying it. An engine that knows them satisfies the
// imports while it compiles, and the module then lists none; elsewhere they are filled with stand-ins
// that are never called, and keys are written into linear memory first (`memory.ts`).
//
// Source: the JS String Builtins proposal, https://github.com/WebAssembly/js-string-builtins

import { core } from '#core-bytes'
import type { CoreExports } from './exports.ts'

/** A compiled core, and whether it reads strings by itself. */
export interface CoreModule {
  readonly module: WebAssembly.Module
  /** The engine supplied `wasm:js-string`, so a key may be handed over as the string it is. */
  readonly readsStrings: boolean
}

/**
 * The core was compiled when the program was deployed, as Cloudflare's and Vercel's edge demand. There a
 * timer belongs to one request and dies with it, so nothing may depend on a timer that was started.
 */
export const isPrecompiled: boolean = typeof core !== 'string'

let compiled: CoreModule | undefined

/** The core of this process. The first call compiles it, which takes a few milliseconds. */
export function coreModule(): CoreModule {
  compiled ??= typeof core === 'string' ? compileCore(bytesOf(core)) : describeModule(core)
  return compiled
}

/**
 * Compiles a core from its bytes.
 *
 * @throws Error that names the directive to change, when the page's Content-Security-Policy forbids it.
 */
export function compileCore(bytes: Uint8Array<ArrayBuffer>): CoreModule {
  if (typeof WebAssembly === 'undefined') {
    throw new Error('tierwheel needs WebAssembly, which this environment does not have or has switched off')
  }
  try {
    const Module = WebAssembly.Module as unknown as ModuleWithBuiltins
    return describeModule(new Module(bytes, { builtins: ['js-string'] }))
  } catch (cause) {
    if (!isRefusal(cause)) throw cause
    throw new Error(
      "tierwheel: the Content-Security-Policy of this page forbids compiling WebAssembly; add 'wasm-unsafe-eval' to its script-src directive",
      { cause },
    )
  }
}

/** A running core with a memory of its own. */
export interface CoreInstance {
  readonly exports: CoreExports
  /** Keys may be handed over as the strings they are. */
  readonly readsStrings: boolean
}

/** Starts a core; it holds nothing until `create` is called. */
export function instantiateCore({ module, readsStrings }: CoreModule = coreModule()): CoreInstance {
  const instance = new WebAssembly.Instance(module, {
    'wasm:js-string': { length: standIn, charCodeAt: standIn },
    env: { abort: reportAbort },
  })
  return { exports: instance.exports as unknown as CoreExports, readsStrings }
}

/** The constructor takes options since the builtins exist; the types of the platform do not say so yet. */
type ModuleWithBuiltins = new (
  bytes: Uint8Array<ArrayBuffer>,
  options: { builtins: string[] },
) => WebAssembly.Module

function describeModule(module: WebAssembly.Module): CoreModule {
  const imports = WebAssembly.Module.imports(module)
  return { module, readsStrings: !imports.some((needed) => needed.module === 'wasm:js-string') }
}

function standIn(): never {
  throw new Error('tierwheel: a string was handed to a core that cannot read strings')
}

/** Only the debug build calls this; its traps name the file and line of the broken assertion. */
function reportAbort(_message: number, _file: number, line: number, column: number): never {
  throw new Error(`tierwheel: an assertion of the core failed at line ${line}, column ${column}`)
}

/** Engines say it differently: Chromium names the policy, Firefox says CSP, embedders say "disallowed". */
function isRefusal(cause: unknown): boolean {
  const message =
    typeof cause === 'object' && cause !== null && 'message' in cause ? String(cause.message) : ''
  return /content security|\bCSP\b|unsafe-eval|disallowed by embedder/i.test(message)
}

/** The bytes of a text as scripts/embed-core.js writes it. */
function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const values = new Map<string, number>()
  for (let code = 35; code < 127; code++) {
    const character = String.fromCharCode(code)
    if (!"$&'<\\`".includes(character)) values.set(character, values.size)
  }
  const { size } = values
  const short = size - Math.ceil(256 / size)
  const bytes: number[] = []
  for (let at = 0; at < text.length; at++) {
    const value = values.get(text.charAt(at)) as number
    if (value < short) bytes.push(bytes[value] as number)
    else bytes.push((value - short) * size + (values.get(text.charAt(++at)) as number))
  }
  return Uint8Array.from(bytes.slice(short))
}
