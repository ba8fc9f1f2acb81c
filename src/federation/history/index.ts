export { createBackfill } from '#src/federation/history/backfill.ts';
export { createByTime } from '#src/federation/history/by-time.ts';
export { createQuestions } from '#src/federation/history/questions.ts';
