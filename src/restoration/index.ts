export { openLostTime } from '#src/restoration/lost-time.ts';
export type { LostTime, Memory } from '#src/restoration/lost-time.ts';
export { moveOn } from '#src/restoration/move-on.ts';
