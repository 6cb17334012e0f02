// Lua as far as the scripts for Redis go, made into JavaScript: what the simulator runs is the very text that a server
// gets, at a speed that leaves room for thousands of runs. What is not known is refused, never guessed.
//
// Strings are bytes, one per UTF-16 unit. Tables have an array part and named fields. Functions answer with one value,
// or with `Several`.

import { parse } from 'luaparse'

/** A Lua value. */
export type Value = undefined | boolean | number | string | Table | Several | Callable
type Callable = (...values: Value[]) => Value

/** A table: numbers from 1 on, and names. */
export class Table {
  readonly array: Value[]
  #fields: Map<string, Value> | undefined

  constructor(array: Value[]) {
    this.array = array
  }

  static of(values: readonly Value[]): Table {
    return new Table(values.slice())
  }

  /** Made when first asked for: most tables are lists. */
  get fields(): Map<string, Value> {
    this.#fields ??= new Map()
    return this.#fields
  }
}

/** More values than one, or none. */
class Several {
  readonly values: readonly Value[]
  constructor(values: readonly Value[]) {
    this.values = values
  }
}

/** A script, ready to run. */
export type Compiled = (keys: readonly string[], args: readonly string[], call: Callable) => Value

/** Compiles the text of a script. */
export function compileLua(text: string): Compiled {
  const chunk = parse(text, { luaVersion: '5.1', encodingMode: 'pseudo-latin1' }) as unknown as Node
  const body = new Writer().chunk(chunk)
  // The text is ours, and so is what it becomes.
  const made = new Function('r', 'KEYS', 'ARGV', 'lib', body) as (...values: unknown[]) => Value
  const lib = { ...library, redis: { call: undefined as Callable | undefined } }
  return (keys, args, call) => {
    lib.redis.call = call
    return first(made(runtime, Table.of(keys), Table.of(args), lib))
  }
}

interface Node {
  readonly type: string
  readonly [name: string]: unknown
}

/** Writes JavaScript. */
class Writer {
  readonly #scopes: Map<string, string>[] = []
  #names = 0
  #spares: string[] = []

  chunk(node: Node): string {
    const outer = this.#spares
    this.#spares = []
    const body = this.#block(node.body as Node[], [])
    const text = `${this.#declared()}${body}`
    this.#spares = outer
    return text
  }

  #declared(): string {
    return this.#spares.length === 0 ? '' : `let ${this.#spares.join(',')};`
  }

  #spare(): string {
    const name = `t${this.#names++}`
    this.#spares.push(name)
    return name
  }

  #block(statements: readonly Node[], locals: readonly Node[]): string {
    this.#scopes.push(new Map())
    for (const local of locals) this.#declare(local)
    const text = statements.map((statement) => this.#statement(statement)).join('\n')
    this.#scopes.pop()
    return text
  }

  #declare(identifier: Node): string {
    const name = `${identifier.name as string}_${this.#names++}`
    this.#scopes.at(-1)?.set(identifier.name as string, name)
    return name
  }

  #resolve(name: string): string {
    for (let at = this.#scopes.length - 1; at >= 0; at--) {
      const found = this.#scopes[at]?.get(name)
      if (found !== undefined) return found
    }
    if (name === 'KEYS' || name === 'ARGV') return name
    if (name in library || name === 'redis') return `lib.${name}`
    throw new Error(`Lua: ${name} is not known`)
  }

  #statement(node: Node): string {
    const body = node.body as Node[]
    switch (node.type) {
      case 'LocalStatement': {
        const values = node.init as Node[]
        const text = this.#values(values, (node.variables as Node[]).length)
        const names = (node.variables as Node[]).map((variable) => this.#declare(variable))
        if (values.length === 0) return `let ${names.join(',')};`
        return names.length === 1 ? `let ${names[0]}=${text};` : `let [${names.join(',')}]=${text};`
      }
      case 'AssignmentStatement': {
        const targets = node.variables as Node[]
        const text = this.#values(node.init as Node[], targets.length)
        if (targets.length === 1) return this.#assign(targets[0] as Node, text)
        const spares = targets.map(() => this.#spare())
        return `[${spares.join(',')}]=${text};${targets.map((target, at) => this.#assign(target, spares[at] as string)).join('')}`
      }
      case 'CallStatement':
        return `${this.#call(node.expression as Node)};`
      case 'ReturnStatement': {
        const values = node.arguments as Node[]
        if (values.length === 1) {
          const [only] = values as [Node]
          return `return ${only.type === 'CallExpression' ? this.#call(only) : this.#value(only)};`
        }
        return `return r.several([${this.#list(values)}]);`
      }
      case 'IfStatement':
        return (node.clauses as Node[])
          .map((clause, at) => {
            const text = `{${this.#block(clause.body as Node[], [])}}`
            if (clause.type === 'ElseClause') return `else ${text}`
            return `${at === 0 ? '' : 'else '}if(${this.#truth(clause.condition as Node)})${text}`
          })
          .join('')
      case 'WhileStatement':
        return `while(${this.#truth(node.condition as Node)}){${this.#block(body, [])}}`
      case 'DoStatement':
        return `{${this.#block(body, [])}}`
      case 'BreakStatement':
        return 'break;'
      case 'ForNumericStatement': {
        const [start, end, step] = [node.start, node.end, node.step] as (Node | null)[]
        const counter = `c${this.#names++}`
        const limit = `l${this.#names++}`
        const by = step == null ? '1' : this.#value(step)
        const head = `for(let ${counter}=r.number(${this.#value(start as Node)}),${limit}=r.number(${this.#value(end as Node)}),s=${by};s>0?${counter}<=${limit}:${counter}>=${limit};${counter}+=s)`
        this.#scopes.push(new Map())
        const name = this.#declare(node.variable as Node)
        const text = this.#block(body, [])
        this.#scopes.pop()
        return `${head}{let ${name}=${counter};${text}}`
      }
      case 'ForGenericStatement': {
        const [iterator] = node.iterators as [Node]
        const pairs = this.#call(iterator)
        this.#scopes.push(new Map())
        const names = (node.variables as Node[]).map((variable) => this.#declare(variable))
        const text = this.#block(body, [])
        this.#scopes.pop()
        return `for(let [${names.join(',')}] of r.walk(${pairs})){${text}}`
      }
      case 'FunctionDeclaration': {
        const name = this.#declare(node.identifier as Node)
        return `const ${name}=${this.#function(node)};`
      }
      default:
        throw new Error(`Lua: ${node.type} is not known`)
    }
  }

  #function(node: Node): string {
    const outer = this.#spares
    this.#spares = []
    this.#scopes.push(new Map())
    const names = (node.parameters as Node[]).map((parameter) => this.#declare(parameter))
    const body = this.#block(node.body as Node[], [])
    this.#scopes.pop()
    const text = `function(${names.join(',')}){${this.#declared()}${body}}`
    this.#spares = outer
    return text
  }

  #assign(target: Node, text: string): string {
    if (target.type === 'Identifier') return `${this.#resolve(target.name as string)}=${text};`
    return `r.put(${this.#value(target.base as Node)},${this.#keyOf(target)},${text});`
  }

  #keyOf(node: Node): string {
    if (node.type === 'MemberExpression') return JSON.stringify((node.identifier as Node).name)
    return this.#value(node.index as Node)
  }

  /** Expressions as `wanted` values: one, or an array. */
  #values(nodes: readonly Node[], wanted: number): string {
    const last = nodes.at(-1)
    if (wanted === 1 && nodes.length === 1) return this.#value(last as Node)
    return `[${this.#list(nodes)}]`
  }

  /** Expressions with commas between them; a call at the end gives all its values. */
  #list(nodes: readonly Node[]): string {
    return nodes
      .map((node, at) =>
        at === nodes.length - 1 && node.type === 'CallExpression'
          ? `...r.all(${this.#call(node)})`
          : this.#value(node),
      )
      .join(',')
  }

  #call(node: Node): string {
    const base = node.base as Node
    const args = this.#list(node.arguments as Node[])
    if (base.type === 'MemberExpression' && base.indexer === ':') {
      throw new Error('Lua: calls with a colon are not known')
    }
    return `${this.#callee(base)}(${args})`
  }

  #callee(base: Node): string {
    if (base.type === 'MemberExpression') {
      const name = (base.base as Node).name as string
      const member = (base.identifier as Node).name as string
      if (name !== 'redis' && typeof library[name] === 'object' && !(member in (library[name] as object)))
        throw new Error(`Lua: ${name}.${member} is not known`)
      return `${this.#resolve(name)}.${member}`
    }
    return this.#resolve(base.name as string)
  }

  #truth(node: Node): string {
    if (['==', '~=', '<', '<=', '>', '>='].includes(node.operator as string)) return this.#value(node)
    return `r.truth(${this.#value(node)})`
  }

  #value(node: Node): string {
    switch (node.type) {
      case 'NumericLiteral':
        return String(node.value)
      case 'StringLiteral':
        return JSON.stringify(node.value)
      case 'BooleanLiteral':
        return String(node.value)
      case 'NilLiteral':
        return 'undefined'
      case 'Identifier':
        return this.#resolve(node.name as string)
      case 'MemberExpression':
      case 'IndexExpression':
        return `r.take(${this.#value(node.base as Node)},${this.#keyOf(node)})`
      case 'CallExpression':
        return `r.first(${this.#call(node)})`
      case 'LogicalExpression': {
        const spare = this.#spare()
        const isAnd = node.operator === 'and'
        const right = this.#value(node.right as Node)
        const left = `r.truth(${spare}=${this.#value(node.left as Node)})`
        return isAnd ? `(${left}?${right}:${spare})` : `(${left}?${spare}:${right})`
      }
      case 'UnaryExpression': {
        const argument = this.#value(node.argument as Node)
        if (node.operator === 'not') return `!r.truth(${argument})`
        if (node.operator === '#') return `r.length(${argument})`
        return `-r.number(${argument})`
      }
      case 'BinaryExpression': {
        const [left, right] = [this.#value(node.left as Node), this.#value(node.right as Node)]
        const operator = node.operator as string
        if (operator === '==') return `(${left}===${right})`
        if (operator === '~=') return `(${left}!==${right})`
        if (operator === '..') return `(r.text(${left})+r.text(${right}))`
        if (['<', '<=', '>', '>='].includes(operator)) return `(${left}${operator}${right})`
        if (operator === '%') return `r.modulo(${left},${right})`
        if (['+', '-', '*', '/'].includes(operator)) return `(r.number(${left})${operator}r.number(${right}))`
        throw new Error(`Lua: ${operator} is not known`)
      }
      case 'TableConstructorExpression': {
        const fields = node.fields as Node[]
        const values = fields.filter(({ type }) => type === 'TableValue').map(({ value }) => value as Node)
        const named = fields
          .filter(({ type }) => type === 'TableKeyString')
          .map(({ key, value }) => `[${JSON.stringify((key as Node).name)},${this.#value(value as Node)}]`)
        return `r.table([${this.#list(values)}],[${named.join(',')}])`
      }
      default:
        throw new Error(`Lua: ${node.type} is not known`)
    }
  }
}

function first(value: Value): Value {
  return value instanceof Several ? value.values[0] : value
}

function number(value: Value): number {
  const found = typeof value === 'string' ? Number(value) : value
  if (typeof found !== 'number' || Number.isNaN(found)) throw new Error(`Lua: ${String(value)} is no number`)
  return found
}

function text(value: Value): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number')
    return Number.isInteger(value) && Math.abs(value) < 1e15 ? String(value) : value.toPrecision(14)
  throw new Error(`Lua: ${String(value)} cannot be joined`)
}

const runtime = {
  first,
  number,
  text,
  all: (value: Value): readonly Value[] => (value instanceof Several ? value.values : [value]),
  several: (values: Value[]): Several => new Several(values),
  truth: (value: Value): boolean => value !== undefined && value !== false,
  length: (value: Value): number =>
    typeof value === 'string' ? value.length : (value as Table).array.length,
  modulo: (left: Value, right: Value): number => {
    const by = number(right)
    return number(left) - Math.floor(number(left) / by) * by
  },
  take: (table: Value, key: Value): Value => {
    if (!(table instanceof Table)) throw new Error(`Lua: ${String(table)} has no ${String(key)}`)
    return typeof key === 'number' ? table.array[key - 1] : table.fields.get(key as string)
  },
  put: (table: Value, key: Value, value: Value): void => {
    if (!(table instanceof Table)) throw new Error(`Lua: ${String(table)} is no table`)
    if (typeof key !== 'number') table.fields.set(key as string, value)
    else if (value === undefined && key === table.array.length) table.array.length--
    else table.array[key - 1] = value
  },
  table: (values: Value[], named: [string, Value][]): Table => {
    const table = new Table(values)
    for (const [name, value] of named) table.fields.set(name, value)
    return table
  },
  walk: (value: Value): Iterable<[Value, Value]> => (value as Several).values as unknown as [Value, Value][],
}

/** A pattern as an expression that matches where it is told to. */
interface Pattern {
  readonly expression: RegExp
  /** Whether its last capture is where the match ends. */
  readonly capturesEnd: boolean
}

const patterns = new Map<string, Pattern>()

function patternOf(text: string): Pattern {
  const known = patterns.get(text)
  if (known !== undefined) return known
  const isAnchored = text.startsWith('^')
  const capturesEnd = isAnchored && text.endsWith('()')
  const body = text.slice(isAnchored ? 1 : 0, capturesEnd ? -2 : undefined)
  if (body.includes('()')) throw new Error(`Lua: () is not known within ${text}`)
  const source = body.replace(/%([a-zA-Z%^$().[\]*+\-?])/g, (_, letter: string) => {
    if (letter === 'd') return '[0-9]'
    if (letter === 'w') return '[0-9A-Za-z]'
    if (letter === 's') return '\\s'
    if (/[a-zA-Z]/.test(letter)) throw new Error(`Lua: %${letter} is not known in a pattern`)
    return `\\${letter}`
  })
  const made = { expression: new RegExp(source, isAnchored ? 'sy' : 's'), capturesEnd }
  patterns.set(text, made)
  return made
}

function match(subject: Value, pattern: Value, init: Value = 1): Value {
  const { expression, capturesEnd } = patternOf(pattern as string)
  const isAnchored = expression.sticky
  const from = Math.max(0, number(init) - 1)
  expression.lastIndex = isAnchored ? from : 0
  const whole = subject as string
  const found = expression.exec(isAnchored ? whole : whole.slice(from))
  if (found === null) return undefined
  if (found.length === 1 && !capturesEnd) return found[0]
  const captured: Value[] = found.slice(1)
  if (capturesEnd) captured.push(expression.lastIndex + 1)
  return new Several(captured)
}

const forms = new Map<string, readonly string[]>()

/** What a form for `string.format` has: texts, and what stands for values. */
function piecesOf(form: string): readonly string[] {
  const known = forms.get(form)
  if (known !== undefined) return known
  const pieces = form.split(/(%\.0f|%d|%s)/)
  for (const piece of pieces)
    if (piece.includes('%') && !/^%(\.0f|d|s)$/.test(piece))
      throw new Error(`Lua: ${form} is not known as a format`)
  forms.set(form, pieces)
  return pieces
}

function digitsOf(whole: number): string {
  return Number.isSafeInteger(whole) ? String(whole + 0) : BigInt(whole).toString()
}

const view = new DataView(new ArrayBuffer(8))

const sizes: Record<string, number> = { d: 8, H: 2, B: 1, I4: 4 }

const formats = new Map<string, readonly string[]>()

/** The parts of a little-endian format. */
function partsOf(format: Value): readonly string[] {
  const known = formats.get(format as string)
  if (known !== undefined) return known
  const parts = (format as string).match(/[a-zA-Z]\d*/g) ?? []
  for (const part of parts) if (!(part in sizes)) throw new Error(`Lua: struct ${part} is not known`)
  formats.set(format as string, parts)
  return parts
}

function packOne(format: string, value: Value): string {
  const size = sizes[format] as number
  if (format === 'd') view.setFloat64(0, number(value), true)
  else if (format === 'H') view.setUint16(0, number(value), true)
  else if (format === 'I4') view.setUint32(0, number(value), true)
  else view.setUint8(0, number(value))
  let bytes = ''
  for (let at = 0; at < size; at++) bytes += String.fromCharCode(view.getUint8(at))
  return bytes
}

const library: Record<string, Callable | Record<string, Callable>> = {
  string: {
    sub: (subject, from, to = -1) => {
      const whole = text(subject)
      const begin =
        number(from) < 0 ? Math.max(whole.length + number(from), 0) : Math.max(number(from) - 1, 0)
      const end = number(to) < 0 ? whole.length + number(to) + 1 : number(to)
      return whole.slice(begin, Math.max(end, begin))
    },
    byte: (subject, at = 1) => {
      const code = (subject as string).charCodeAt(number(at) - 1)
      return Number.isNaN(code) ? undefined : code
    },
    char: (...codes) => String.fromCharCode(...(codes as number[])),
    rep: (subject, times) => text(subject).repeat(number(times)),
    match,
    find: (subject, part, init = 1, isPlain = false) => {
      if (isPlain !== true) throw new Error('Lua: find with a pattern is not known')
      const at = (subject as string).indexOf(part as string, number(init) - 1)
      return at < 0 ? undefined : new Several([at + 1, at + (part as string).length])
    },
    format: (form, ...values) => {
      let turn = 0
      let made = ''
      for (const piece of piecesOf(form as string)) {
        if (piece === '%s') made += text(values[turn++])
        else if (piece === '%d' || piece === '%.0f') made += digitsOf(Math.round(number(values[turn++])))
        else made += piece
      }
      return made
    },
  },
  table: {
    concat: (table, by = '') => (table as Table).array.map(text).join(by as string),
    insert: (table, value) => void (table as Table).array.push(value),
  },
  math: {
    abs: (value) => Math.abs(number(value)),
    floor: (value) => Math.floor(number(value)),
    max: (...values) => Math.max(...values.map(number)),
    min: (...values) => Math.min(...values.map(number)),
  },
  struct: {
    pack: (format, ...values) =>
      partsOf(format)
        .map((one, at) => packOne(one, values[at]))
        .join(''),
    unpack: (format, bytes, from = 1) => {
      let at = number(from) - 1
      const values = partsOf(format).map((one) => {
        const size = sizes[one] as number
        for (let turn = 0; turn < size; turn++) view.setUint8(turn, (bytes as string).charCodeAt(at + turn))
        at += size
        if (one === 'd') return view.getFloat64(0, true)
        if (one === 'H') return view.getUint16(0, true)
        return one === 'I4' ? view.getUint32(0, true) : view.getUint8(0)
      })
      return new Several([...values, at + 1])
    },
  },
  tonumber: (value) => {
    if (typeof value === 'number') return value
    const found = typeof value === 'string' ? Number(value) : Number.NaN
    const isNone = Number.isNaN(found) || (found === 0 && (value as string).trim() === '')
    return isNone ? undefined : found
  },
  tostring: (value) =>
    value === undefined ? 'nil' : typeof value === 'boolean' ? String(value) : text(value),
  error: (message) => {
    throw new Error(String(message))
  },
  ipairs: (table) => {
    const pairs: unknown[] = []
    for (const [at, value] of (table as Table).array.entries()) {
      if (value === undefined) break
      pairs.push([at + 1, value])
    }
    return new Several(pairs as Value[])
  },
  pairs: (table) => {
    const { array, fields } = table as Table
    const pairs: unknown[] = [...array.map((value, at) => [at + 1, value]), ...fields]
    return new Several(pairs as Value[])
  },
  unpack: (table, from = 1, to = undefined) =>
    new Several((table as Table).array.slice(number(from) - 1, to === undefined ? undefined : number(to))),
}
