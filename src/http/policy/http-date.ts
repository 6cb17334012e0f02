// Dates in fields (RFC 9110 section 5.6.7). Three forms are read, whatever the case of their letters; one is written:
//
//   Sun, 06 Nov 1994 08:49:37 GMT    the one in use
//   Sunday, 06-Nov-94 08:49:37 GMT   RFC 850; a year more than fifty years ahead is of the last century
//   Sun Nov  6 08:49:37 1994         asctime
//
// `Date.parse` is not asked: it takes `0`, `UTC`, one-digit hours and much else for a date, and a deadline that no
// two recipients read alike must count as past.

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const day = '(?:mon|tue|wed|thu|fri|sat|sun)'
const time = '(\\d{2}):(\\d{2}):(\\d{2})'
const month = `(${months.join('|')})`
const imf = new RegExp(`^${day}, (\\d{2}) ${month} (\\d{4}) ${time} gmt$`, 'i')
const rfc850 = new RegExp(
  `^(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday), (\\d{2})-${month}-(\\d{2}) ${time} gmt$`,
  'i',
)
const asctime = new RegExp(`^${day} ${month} ( \\d|\\d{2}) ${time} (\\d{4})$`, 'i')

/**
 * Milliseconds since 1970, or `undefined` when `text` is no date.
 *
 * @param nowMs - Only decides the century of a year with two digits.
 */
export function parseHttpDate(text: string, nowMs: number): number | undefined {
  let match = imf.exec(text)
  if (match !== null) return instant(match[3], match[2], match[1], match.slice(4))
  match = asctime.exec(text)
  if (match !== null) return instant(match[6], match[1], match[2], match.slice(3))
  match = rfc850.exec(text)
  if (match === null) return undefined
  const thisYear = new Date(nowMs).getUTCFullYear()
  let year = thisYear - (thisYear % 100) + Number(match[3])
  if (year > thisYear + 50) year -= 100
  return instant(String(year), match[2], match[1], match.slice(4))
}

function instant(
  year: string | undefined,
  name: string | undefined,
  dayOfMonth: string | undefined,
  clock: string[],
): number | undefined {
  const [hours = 0, minutes = 0, seconds = 0] = clock.slice(0, 3).map(Number)
  const monthOfYear = months.indexOf((name ?? '').toLowerCase())
  const date = Number(dayOfMonth)
  // A leap second is written as 60.
  if (hours > 23 || minutes > 59 || seconds > 60) return undefined
  const ms = Date.UTC(Number(year), monthOfYear, date, hours, minutes, seconds)
  // The 31st of April would be the 1st of May.
  return new Date(Date.UTC(Number(year), monthOfYear, date)).getUTCDate() === date ? ms : undefined
}

/** An instant in the form of today. */
export function formatHttpDate(ms: number): string {
  return new Date(ms).toUTCString()
}
