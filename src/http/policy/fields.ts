// Header fields as the policy sees them: names in lower case, all lines of a field joined by a comma, the way
// RFC 9110 section 5.3 lets any recipient join them. A field that is absent is `undefined`, one without a value is
// the empty string: nothing here takes one for the other.

/** Fields by lower-case name; lines of one field are joined by `, `. */
export type Fields = Readonly<Record<string, string | undefined>>

/** Name and value of one line, in the order in which lines are sent. */
export type FieldLine = readonly [name: string, value: string]

/** The value of the field `name`, which is in lower case; never something inherited. */
export function fieldOf(fields: Fields, name: string): string | undefined {
  return Object.hasOwn(fields, name) ? fields[name] : undefined
}

/**
 * Whether any of `names` is there, whatever its value: one look at the few fields there are, not one for each name. What
 * is inherited counts as well, so a caller takes `true` as a reason to look closer or to do less.
 */
export function hasSome(fields: Fields, names: ReadonlySet<string>): boolean {
  for (const name in fields) {
    if (names.has(name)) return true
  }
  return false
}

/** In the place of no prototype at all: V8 would make a hash table of such a record, which is slow to walk. */
const nothing: object = Object.freeze(Object.create(null))

/** A record without fields, which also inherits none. */
export function noFields(): Record<string, string> {
  return Object.create(nothing)
}

/** Joins lines into fields. Names may be in any case. */
export function fieldsOf(lines: Iterable<FieldLine>): Fields {
  const fields = noFields()
  for (const [name, value] of lines) {
    const lower = name.toLowerCase()
    const before = fields[lower]
    fields[lower] = before === undefined ? value : `${before}, ${value}`
  }
  return fields
}

const tokenForm = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Whether `text` is a token of RFC 9110 section 5.6.2, as a field name has to be. */
export function isToken(text: string): boolean {
  return tokenForm.test(text)
}

/**
 * The members of a comma-separated list, trimmed, without empty ones (RFC 9110 section 5.6.1). Commas inside quoted
 * strings do not separate.
 */
export function listOf(value: string): string[] {
  const members: string[] = []
  let start = 0
  let isQuoted = false
  for (let at = 0; at <= value.length; at++) {
    const unit = value[at]
    if (isQuoted) {
      if (unit === '\\') at++
      else if (unit === '"') isQuoted = false
    } else if (unit === '"') {
      isQuoted = true
    }
    if ((unit === ',' && !isQuoted) || at >= value.length) {
      const member = trimBlanks(value.slice(start, at))
      if (member !== '') members.push(member)
      start = at + 1
    }
  }
  return members
}

/** Takes blanks and tabs off both ends, and nothing else: other white space has no place in a field. */
export function trimBlanks(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text, start)) start++
  while (end > start && isBlank(text, end - 1)) end--
  return text.slice(start, end)
}

function isBlank(text: string, at: number): boolean {
  const unit = text.charCodeAt(at)
  return unit === 0x20 || unit === 0x09
}

/** Fields of one connection, never of the message (RFC 9110 section 7.6.1); not stored and not replayed. */
export const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** What a response's `Connection` field names besides: those belong to the connection as well. */
export function connectionFields(fields: Fields): ReadonlySet<string> {
  const value = fieldOf(fields, 'connection')
  return new Set(value === undefined ? [] : listOf(value).map((name) => name.toLowerCase()))
}
