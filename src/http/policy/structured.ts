// The part of structured fields (RFC 9651) that caching needs: a dictionary, for targeted Cache-Control fields
// (RFC 9213 section 2.1), and the strings and tokens of Cache-Status. A targeted field that is malformed anywhere is
// ignored as a whole, so the parser is strict and stops at the first fault.

/** A member of a dictionary: its bare value, with parameters left out. */
export type BareValue =
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'integer'; readonly value: number }
  | { readonly kind: 'other' }

const keyForm = /[a-z*][a-z0-9_\-.*]*/y
const numberForm = /-?[0-9]+(\.[0-9]+)?/y
const stringForm = /"(?:[ !#-[\]-~]|\\["\\])*"/y
const tokenForm = /[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*/y
const bytesForm = /:[A-Za-z0-9+/]*={0,2}:/y
const booleanForm = /\?[01]/y
const dateForm = /@-?[0-9]{1,15}/y
const displayForm = /%"(?:[ !#-$&-~]|%[0-9a-f]{2})*"/y

/** The members by key, the last of each key, or `undefined` when `text` is no dictionary. */
export function parseDictionary(text: string): ReadonlyMap<string, BareValue> | undefined {
  const members = new Map<string, BareValue>()
  const scan = new Scan(text)
  scan.take(/ */y)
  if (scan.isAtEnd) return members
  for (;;) {
    const key = scan.take(keyForm)
    if (key === undefined) return undefined
    let value: BareValue | undefined = { kind: 'boolean', value: true }
    if (scan.take(/=/y) !== undefined)
      value = scan.take(/\(/y) === undefined ? bareValue(scan) : innerList(scan)
    if (value === undefined || !parameters(scan)) return undefined
    members.delete(key)
    members.set(key, value)
    scan.take(/[ \t]*/y)
    if (scan.isAtEnd) return members
    if (scan.take(/,[ \t]*/y) === undefined || scan.isAtEnd) return undefined
  }
}

class Scan {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length
  }

  take(form: RegExp): string | undefined {
    form.lastIndex = this.#at
    const found = form.exec(this.#text)?.[0]
    if (found !== undefined) this.#at += found.length
    return found
  }
}

function bareValue(scan: Scan): BareValue | undefined {
  const boolean = scan.take(booleanForm)
  if (boolean !== undefined) return { kind: 'boolean', value: boolean === '?1' }
  const number = scan.take(numberForm)
  if (number !== undefined) {
    const [whole = '', fraction] = number.replace('-', '').split('.')
    if (fraction === undefined)
      return whole.length > 15 ? undefined : { kind: 'integer', value: Number(number) }
    return whole.length > 12 || fraction.length > 3 ? undefined : { kind: 'other' }
  }
  for (const form of [stringForm, bytesForm, dateForm, displayForm, tokenForm]) {
    if (scan.take(form) !== undefined) return { kind: 'other' }
  }
  return undefined
}

function innerList(scan: Scan): BareValue | undefined {
  for (;;) {
    scan.take(/ */y)
    if (scan.take(/\)/y) !== undefined) return { kind: 'other' }
    if (bareValue(scan) === undefined || !parameters(scan)) return undefined
    // Members are kept apart by blanks.
    if (scan.take(/(?=[ )])/y) === undefined) return undefined
  }
}

function parameters(scan: Scan): boolean {
  while (scan.take(/; */y) !== undefined) {
    if (scan.take(keyForm) === undefined) return false
    if (scan.take(/=/y) !== undefined && bareValue(scan) === undefined) return false
  }
  return true
}
