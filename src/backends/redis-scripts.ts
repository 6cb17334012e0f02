// The Lua of the Redis backend. Each script is one atomic step on the keys of a partition, so all of what the
// ledger promises is here: whoever reads the state finds everything done that it counts.
//
//    {keyspace:7}:s        state: text, see below; the keys of a partition share its hash tag, so a slot
//    {keyspace:7}:l        log: a stream, one message (src/message.ts) per mutation, id `sequence-0`
//    {keyspace:7}:e:key    entry: a head of 36 bytes, then the tier's bytes; expires by Redis
//    {keyspace:16}:t       tags, in the tag partition, whose number is that of the others: a hash of
//                          `expired deleted`, the sequences of each tag's last invalidations, 0 for none; the field
//                          without a name says `epoch floor`
//    {keyspace:16}:o       the tags by their last sequence, to forget the oldest
//
// The state is `format partitions epoch sequence generation`, a line feed, and the marks of clears whose entries
// are not all removed yet: `generation length prefix` each. An entry carries the epoch and the generation in which
// it was written. It is dead when the epoch is over, or when a mark of a later generation fits its key. So a clear
// costs the same whatever it removes, and what it removes is gone at once for every reader.
//
// Whoever calls says how far it has seen the partition. A server that stands before that was restored from an
// older copy or took over from one that was ahead: then a new epoch begins, as when the state is lost. The same when
// the log reaches back to what was seen and has no such place: it is of another history. Each step in the order is as
// long as its message says, so that two histories which part do not meet in one place again. An epoch is the server's
// time in microseconds, and larger than any that the caller has seen.
//
// When the hash of tags is lost and the state is not, a new epoch of the tag partition begins: no tag is known from
// before, so nothing that carries one is used. A floor says the same of what was forgotten for want of room.
//
// The order of writes within a commit: state, log, bell, entry. What can fail, for want of memory or of a
// permission, fails before the entry is changed, and leaves at most a place in the order that nobody used.

/** A script and its name; the name is for its tests. */
export interface Script {
  readonly name: string
  readonly text: string
}

/** Bytes of the head of an entry. */
export const HEAD_BYTES = 36

const prelude = String.raw`
local partitions = ARGV[1]

local function save(stateKey, state)
  local parts = {string.format('1 %s %.0f %.0f %.0f\n', partitions, state.epoch, state.sequence, state.generation)}
  for _, mark in ipairs(state.marks) do
    parts[#parts + 1] = string.format('%.0f %d ', mark[1], #mark[2]) .. mark[2]
  end
  redis.call('SET', stateKey, table.concat(parts))
end

local function parse(text)
  local count, epoch, sequence, generation, at = string.match(text, '^1 (%d+) (%d+) (%d+) (%d+)\n()')
  if not count then error('TIERWHEEL format ' .. (string.match(text, '^(%d+) ') or 'unknown'), 0) end
  if count ~= partitions then error('TIERWHEEL partitions ' .. count, 0) end
  local state = {epoch = tonumber(epoch), sequence = tonumber(sequence), generation = tonumber(generation), marks = {}}
  while at <= #text do
    local markGeneration, length, from = string.match(text, '^(%d+) (%d+) ()', at)
    state.marks[#state.marks + 1] = {tonumber(markGeneration), string.sub(text, from, from + length - 1)}
    at = from + length
  end
  return state
end

local function isPlace(logKey, sequence)
  local id = string.format('%.0f-0', sequence)
  if redis.call('XRANGE', logKey, id, id)[1] then return true end
  -- What lies before the first message that is left can no longer be told.
  local first = redis.call('XRANGE', logKey, '-', '+', 'COUNT', 1)[1]
  return not first or sequence <= struct.unpack('<d', first[2][2], 13)
end

local function fits(state, logKey, epoch, sequence)
  if epoch ~= state.epoch then return epoch < state.epoch end
  if state.sequence > 9007199254000000 then return false end
  return sequence == state.sequence or sequence < state.sequence and isPlace(logKey, sequence)
end

local function open(stateKey, logKey, seenEpoch, seenSequence)
  seenEpoch, seenSequence = tonumber(seenEpoch), tonumber(seenSequence)
  local text = redis.call('GET', stateKey)
  local state = text and parse(text)
  if state and fits(state, logKey, seenEpoch, seenSequence) then return state end
  local time = redis.call('TIME')
  local epoch = time[1] * 1000000 + time[2]
  -- An epoch of the far future is made up, and no reason to begin another one.
  local known = seenEpoch < epoch + 3600000000
  if state and not known then return state end
  if state and epoch <= state.epoch then epoch = state.epoch + 1 end
  if known and epoch <= seenEpoch then epoch = seenEpoch + 1 end
  redis.call('DEL', logKey)
  state = {epoch = epoch, sequence = 0, generation = 0, marks = {}}
  save(stateKey, state)
  return state
end

local function nameOf(stateKey, entryKey)
  return string.sub(entryKey, #stateKey + 2)
end

local function isLive(state, head, name)
  if #head < 17 or string.byte(head) ~= 1 then return false end
  local epoch, generation = struct.unpack('<dd', head, 2)
  if epoch ~= state.epoch then return false end
  for _, mark in ipairs(state.marks) do
    if generation < mark[1] and string.sub(name, 1, #mark[2]) == mark[2] then return false end
  end
  return true
end

local function has(state, stateKey, entryKey)
  return isLive(state, redis.call('GETRANGE', entryKey, 0, 16), nameOf(stateKey, entryKey))
end

local function store(state, entryKey, px, stamp, bytes)
  if px == '0' then
    redis.call('UNLINK', entryKey)
    return
  end
  local value = '\1' .. struct.pack('<dd', state.epoch, state.generation) .. stamp .. bytes
  if px == '' then
    redis.call('SET', entryKey, value)
  else
    redis.call('SET', entryKey, value, 'PX', px)
  end
end

local function append(state, stateKey, logKey, logMessages, channel, message)
  local after = state.sequence
  local origin, serial = struct.unpack('<H', message, 29), struct.unpack('<d', message, 37)
  state.sequence = after + 1 + (origin + serial) % 65536
  save(stateKey, state)
  local placed = string.sub(message, 1, 4) .. struct.pack('<ddd', state.epoch, after, state.sequence) .. string.sub(message, 29)
  redis.call('XADD', logKey, 'MAXLEN', '~', logMessages, string.format('%.0f-0', state.sequence), 'm', placed)
  redis.call('PUBLISH', channel, placed)
end

local function after(state, logKey, epoch, sequence)
  if epoch ~= state.epoch or sequence > state.sequence then return nil end
  if sequence == state.sequence then return {} end
  local log = redis.call('XRANGE', logKey, string.format('%.0f-1', sequence), '+')
  if #log == 0 or struct.unpack('<d', log[1][2][2], 13) ~= sequence then return nil end
  if struct.unpack('<d', log[#log][2][2], 21) ~= state.sequence then return nil end
  return log
end

local function text(number)
  return string.format('%.0f', number)
end

local function sumOf(digits, delta)
  if #digits > 32 or not string.match(digits, '^-?%d+$') then return 1 end
  local number, most = tonumber(digits), 9007199254740991
  local sum = number + delta
  if math.abs(number) > most or math.abs(sum) > most then return 2 end
  if sum == 0 then sum = 0 end
  return text(sum)
end

local function concerns(message, name)
  local count, at = struct.unpack('<I4', message, 45)
  for _ = 1, count do
    local length = struct.unpack('<I4', message, at)
    local key = string.sub(message, at + 4, at + 3 + length)
    if key == name or string.byte(message, 2) == 3 and string.sub(name, 1, #key) == key then return true end
    at = at + 4 + length
  end
  return false
end

local function openTags(seenEpoch, seenSequence)
  local state = open(KEYS[1], KEYS[2], seenEpoch, seenSequence)
  local known, floor = string.match(redis.call('HGET', KEYS[3], '') or '', '^(%d+) (%d+)$')
  if known == text(state.epoch) then return state, tonumber(floor) end
  if not known and state.sequence > 0 then state = open(KEYS[1], KEYS[2], state.epoch, state.sequence + 1) end
  redis.call('DEL', KEYS[3], KEYS[4])
  redis.call('HSET', KEYS[3], '', text(state.epoch) .. ' 0')
  return state, 0
end
`

function script(name: string, body: string): Script {
  return { name, text: `${prelude}${body}` }
}

/**
 * The state, and value and remaining milliseconds of each entry. Without the prelude, as it is the script of the hot
 * path: what it answers is judged by the caller.
 *
 * KEYS state, entries. Answers the state or nil, then value or nil and PTTL for each.
 */
export const readScript: Script = {
  name: 'read',
  text: `
local answer = {}
for at = 1, #KEYS do
  answer[2 * at - 1] = redis.call('GET', KEYS[at])
  answer[2 * at] = redis.call('PTTL', KEYS[at])
end
return answer
`,
}

/**
 * Where partitions stand; begins those that have no state. Tells it on channels too, with a token: that is a probe.
 *
 * KEYS state and log of each. ARGV partitions, token, number of channels, channels, then partition, seen epoch,
 * seen sequence of each. Answers epoch and sequence of each.
 */
export const standScript: Script = script(
  'stand',
  String.raw`
local first = 4 + ARGV[3]
local answer, echo = {}, {'\0' .. ARGV[2]}
for at = 1, #KEYS / 2 do
  local argument = first + 3 * (at - 1)
  local state = open(KEYS[2 * at - 1], KEYS[2 * at], ARGV[argument + 1], ARGV[argument + 2])
  answer[2 * at - 1] = text(state.epoch)
  answer[2 * at] = text(state.sequence)
  echo[at + 1] = ARGV[argument] .. ' ' .. answer[2 * at - 1] .. ' ' .. answer[2 * at]
end
for at = 4, first - 1 do redis.call('PUBLISH', ARGV[at], table.concat(echo, '\n')) end
return answer
`,
)

/**
 * A set or a delete of one key.
 *
 * KEYS state, log, entry. ARGV partitions, seen epoch, seen sequence, channel, log length, message, whether data is
 * kept, px, bytes. Answers epoch, sequence, whether a live entry was there.
 */
export const commitScript: Script = script(
  'commit',
  String.raw`
local state = open(KEYS[1], KEYS[2], ARGV[2], ARGV[3])
local message = ARGV[6]
local keeps = ARGV[7] == '1'
local existed = keeps and has(state, KEYS[1], KEYS[3])
append(state, KEYS[1], KEYS[2], ARGV[5], ARGV[4], message)
if keeps and string.byte(message, 2) == 1 then
  local stamp = '\1' .. string.sub(message, 3, 4) .. struct.pack('<dd', state.epoch, state.sequence)
  store(state, KEYS[3], ARGV[8], stamp, ARGV[9])
else
  redis.call('UNLINK', KEYS[3])
end
return {text(state.epoch), text(state.sequence), existed and 1 or 0}
`,
)

/**
 * A mutation that depends on what is there.
 *
 * KEYS state, log, entry, and where to for a move. ARGV partitions, seen epoch, seen sequence, channel, log length,
 * message, what, and for add px, bytes; swap px, bytes, and the bytes that are expected, without which no live entry
 * is; increment delta, number of bytes before the digits; touch px. Answers epoch, sequence, whether a live entry was
 * there, whether it was applied, and the new number as text; 1 in its place when there is no integer, 2 when one is
 * not safe.
 */
export const changeScript: Script = script(
  'change',
  String.raw`
local state = open(KEYS[1], KEYS[2], ARGV[2], ARGV[3])
local message, what = ARGV[6], ARGV[7]
local value = redis.call('GET', KEYS[3]) or ''
local live = isLive(state, value, nameOf(KEYS[1], KEYS[3]))

local function answer(applied, number)
  return {text(state.epoch), text(state.sequence), live and 1 or 0, applied and 1 or 0, number or ''}
end

local function place()
  append(state, KEYS[1], KEYS[2], ARGV[5], ARGV[4], message)
  return '' .. string.sub(message, 3, 4) .. struct.pack('<dd', state.epoch, state.sequence)
end

if what == 'add' or what == 'swap' and ARGV[10] == nil then
  if live then return answer(false) end
  store(state, KEYS[3], ARGV[8], place(), ARGV[9])
  return answer(true)
end
if not live then return answer(false) end
if what == 'swap' then
  if string.sub(value, 37) ~= ARGV[10] then return answer(false) end
  store(state, KEYS[3], ARGV[8], place(), ARGV[9])
  return answer(true)
end
if what == 'increment' then
  local from = 36 + ARGV[9]
  local sum = sumOf(string.sub(value, from + 1), ARGV[8])
  if sum == 1 or sum == 2 then return answer(false, sum) end
  local stamp = place()
  redis.call('SET', KEYS[3], string.sub(value, 1, 17) .. stamp .. string.sub(value, 37, from) .. sum, 'KEEPTTL')
  return answer(true, sum)
end
if what == 'touch' then
  place()
  if ARGV[8] == '' then
    redis.call('PERSIST', KEYS[3])
  elseif ARGV[8] == '0' then
    redis.call('UNLINK', KEYS[3])
  else
    redis.call('PEXPIRE', KEYS[3], ARGV[8])
  end
  return answer(true)
end
local px = redis.call('PTTL', KEYS[3])
store(state, KEYS[4], px == -1 and '' or text(px), place(), string.sub(value, 37))
redis.call('UNLINK', KEYS[3])
return answer(true)
`,
)

/**
 * An invalidation of tags.
 *
 * KEYS state, log, tags, order. ARGV partitions, seen epoch, seen sequence, channel, log length, message, `expire` or
 * `delete`, most tags, names. Answers epoch and sequence.
 */
export const tagsScript: Script = script(
  'tags',
  `
local state, floor = openTags(ARGV[2], ARGV[3])
append(state, KEYS[1], KEYS[2], ARGV[5], ARGV[4], ARGV[6])
local sequence = text(state.sequence)
for at = 9, #ARGV do
  local expired, deleted = string.match(redis.call('HGET', KEYS[3], ARGV[at]) or '0 0', '^(%d+) (%d+)$')
  if ARGV[7] == 'expire' then expired = sequence else deleted = sequence end
  redis.call('HSET', KEYS[3], ARGV[at], expired .. ' ' .. deleted)
  redis.call('ZADD', KEYS[4], sequence, ARGV[at])
end
local over = redis.call('ZCARD', KEYS[4]) - ARGV[8]
if over > 0 then
  local oldest = redis.call('ZRANGE', KEYS[4], 0, over - 1, 'WITHSCORES')
  for at = 1, #oldest, 2 do
    redis.call('HDEL', KEYS[3], oldest[at])
    floor = math.max(floor, tonumber(oldest[at + 1]))
  end
  redis.call('ZREMRANGEBYRANK', KEYS[4], 0, over - 1)
  redis.call('HSET', KEYS[3], '', text(state.epoch) .. ' ' .. text(floor))
end
return {text(state.epoch), sequence}
`,
)

/**
 * When tags were last invalidated.
 *
 * KEYS state, log, tags, order. ARGV partitions, seen epoch, seen sequence, names. Answers epoch, sequence, floor, then
 * `expired deleted` or nothing for each.
 */
export const readTagsScript: Script = script(
  'readTags',
  `
local state, floor = openTags(ARGV[2], ARGV[3])
local answer = {text(state.epoch), text(state.sequence), text(floor)}
for at = 4, #ARGV do answer[at] = redis.call('HGET', KEYS[3], ARGV[at]) or '' end
return answer
`,
)

/**
 * A clear in each of the partitions. With a channel it takes its place in their order and rings.
 *
 * KEYS state and log of each. ARGV partitions, channel or nothing, log length, prefix, then seen epoch, seen sequence,
 * message of each. Answers epoch, sequence and generation of each.
 */
export const clearScript: Script = script(
  'clear',
  `
local channel, prefix = ARGV[2], ARGV[4]
local answer = {}
for at = 1, #KEYS / 2 do
  local stateKey, logKey, argument = KEYS[2 * at - 1], KEYS[2 * at], 5 + 3 * (at - 1)
  local state = open(stateKey, logKey, ARGV[argument], ARGV[argument + 1])
  state.generation = state.generation + 1
  local marks = {}
  for _, mark in ipairs(state.marks) do
    if string.sub(mark[2], 1, #prefix) ~= prefix then marks[#marks + 1] = mark end
  end
  -- Too many are as good as one that fits everything: more is cleared than was asked, and nothing is forgotten.
  if #marks >= 64 then marks, prefix = {}, '' end
  marks[#marks + 1] = {state.generation, prefix}
  prefix = ARGV[4]
  state.marks = marks
  if channel == '' then
    save(stateKey, state)
  else
    append(state, stateKey, logKey, ARGV[3], channel, ARGV[argument + 2])
  end
  answer[#answer + 1] = text(state.epoch)
  answer[#answer + 1] = text(state.sequence)
  answer[#answer + 1] = text(state.generation)
end
return answer
`,
)

/**
 * Stores an entry unless the log names its key after `asOf`, or no longer reaches back that far.
 *
 * KEYS state, log, entry. ARGV partitions, seen epoch, seen sequence, epoch and sequence of `asOf`, whether data is
 * kept, px, stamp, bytes. Answers whether it was stored.
 */
export const populateScript: Script = script(
  'populate',
  `
local state = open(KEYS[1], KEYS[2], ARGV[2], ARGV[3])
local later = after(state, KEYS[2], tonumber(ARGV[4]), tonumber(ARGV[5]))
if not later then return 0 end
local name = nameOf(KEYS[1], KEYS[3])
for _, logged in ipairs(later) do
  if concerns(logged[2][2], name) then return 0 end
end
if ARGV[6] == '1' then store(state, KEYS[3], ARGV[7], ARGV[8], ARGV[9]) end
return 1
`,
)

/**
 * The messages after a place. One that is of another history begins a new epoch: it was heard of.
 *
 * KEYS state, log. ARGV partitions, seen epoch, seen sequence, epoch, sequence. Answers them, or nil for a gap.
 */
export const sinceScript: Script = script(
  'since',
  `
local epoch, sequence = tonumber(ARGV[4]), tonumber(ARGV[5])
local state = open(KEYS[1], KEYS[2], ARGV[2], ARGV[3])
if epoch == state.epoch and sequence < state.sequence then state = open(KEYS[1], KEYS[2], epoch, sequence) end
local later = after(state, KEYS[2], epoch, sequence)
if not later then return false end
local messages = {}
for at, logged in ipairs(later) do messages[at] = logged[2][2] end
return messages
`,
)

/**
 * Stores entries.
 *
 * KEYS state, log, entries. ARGV partitions, seen epoch, seen sequence, then px, stamp, bytes of each.
 */
export const setScript: Script = script(
  'set',
  `
local state = open(KEYS[1], KEYS[2], ARGV[2], ARGV[3])
for at = 3, #KEYS do
  local argument = 4 + 3 * (at - 3)
  store(state, KEYS[at], ARGV[argument], ARGV[argument + 1], ARGV[argument + 2])
end
return 1
`,
)

/**
 * Stores an entry if what is there is as expected.
 *
 * KEYS state, log, entry. ARGV partitions, seen epoch, seen sequence, px, stamp, bytes, and the bytes that are
 * expected; without these, no live entry is. Answers whether it was stored.
 */
export const swapScript: Script = script(
  'swap',
  `
local state = open(KEYS[1], KEYS[2], ARGV[2], ARGV[3])
local live = has(state, KEYS[1], KEYS[3])
if ARGV[7] == nil then
  if live then return 0 end
elseif not live or string.sub(redis.call('GET', KEYS[3]), 37) ~= ARGV[7] then
  return 0
end
store(state, KEYS[3], ARGV[4], ARGV[5], ARGV[6])
return 1
`,
)

/**
 * Adds to the decimal integer behind the first bytes. Doubles are exact up to 2^53, and a sum of two such numbers that
 * is not exact is beyond the safe integers all the same.
 *
 * KEYS state, log, entry. ARGV partitions, seen epoch, seen sequence, delta, number of bytes before the digits. Answers
 * the new number as text, or nil without an entry, or 1 when it is no integer, 2 when one is not safe.
 */
export const incrementScript: Script = script(
  'increment',
  `
local state = open(KEYS[1], KEYS[2], ARGV[2], ARGV[3])
if not has(state, KEYS[1], KEYS[3]) then return false end
local value = redis.call('GET', KEYS[3])
local from = 36 + ARGV[5]
local sum = sumOf(string.sub(value, from + 1), ARGV[4])
if sum == 1 or sum == 2 then return sum end
redis.call('SET', KEYS[3], string.sub(value, 1, from) .. sum, 'KEEPTTL')
return sum
`,
)

/**
 * Gives a live entry a new remaining time.
 *
 * KEYS state, log, entry. ARGV partitions, seen epoch, seen sequence, px. Answers whether there was one.
 */
export const touchScript: Script = script(
  'touch',
  `
local state = open(KEYS[1], KEYS[2], ARGV[2], ARGV[3])
if not has(state, KEYS[1], KEYS[3]) then return 0 end
if ARGV[4] == '' then
  redis.call('PERSIST', KEYS[3])
elseif ARGV[4] == '0' then
  redis.call('UNLINK', KEYS[3])
else
  redis.call('PEXPIRE', KEYS[3], ARGV[4])
end
return 1
`,
)

/**
 * Removes entries: all, or those that are dead.
 *
 * KEYS state, log, entries. ARGV partitions, seen epoch, seen sequence, `all` or `dead`. Answers how many live ones
 * were removed, or how many dead ones.
 */
export const removeScript: Script = script(
  'remove',
  `
local state = open(KEYS[1], KEYS[2], ARGV[2], ARGV[3])
local removed = 0
for at = 3, #KEYS do
  local live = has(state, KEYS[1], KEYS[at])
  if ARGV[4] == 'all' then
    if redis.call('UNLINK', KEYS[at]) == 1 and live then removed = removed + 1 end
  elseif not live then
    removed = removed + redis.call('UNLINK', KEYS[at])
  end
end
return removed
`,
)

/**
 * Forgets marks of clears whose entries are all removed.
 *
 * KEYS state, log. ARGV partitions, seen epoch, seen sequence, epoch, generation, prefix.
 */
export const sweptScript: Script = script(
  'swept',
  `
local state = open(KEYS[1], KEYS[2], ARGV[2], ARGV[3])
if state.epoch ~= tonumber(ARGV[4]) then return 0 end
local marks = {}
for _, mark in ipairs(state.marks) do
  local isSwept = mark[1] <= tonumber(ARGV[5]) and string.sub(mark[2], 1, #ARGV[6]) == ARGV[6]
  if not isSwept then marks[#marks + 1] = mark end
end
if #marks < #state.marks then
  state.marks = marks
  save(KEYS[1], state)
end
return 1
`,
)
