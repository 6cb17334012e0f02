// The parser ships no types; this is as much of it as lua.ts uses.
declare module 'luaparse' {
  export function parse(text: string, options: { luaVersion: '5.1'; encodingMode: 'pseudo-latin1' }): unknown
}
