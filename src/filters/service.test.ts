import assert from 'node:assert/strict';
import { testConfig } from '#src/platform/config/index.ts';
import { MatrixError } from '#src/protocol/errors.ts';
import { createFilters } from '#src/filters/service.ts';
import { withBothDatabases } from '#test/support/databases.ts';

withBothDatabases('filters are numbered for each user, and equal ones stored once', async (_t, open) => {
  const database = await open();
  const filters = createFilters({ database, config: testConfig() });
  assert.equal(await filters.add(1, { room: { timeline: { limit: 5 } } }), '0');
  assert.equal(await filters.add(1, {}), '1');
  assert.equal(await filters.add(1, { room: { timeline: { limit: 5 } } }), '0');
  assert.equal(await filters.add(2, {}), '0');
  const twins = await Promise.all([filters.add(3, { event_fields: ['a'] }), filters.add(3, { event_fields: ['a'] })]);
  assert.deepEqual(twins, ['0', '0']);
});

withBothDatabases('a stored filter comes back, for its owner', async (_t, open) => {
  const database = await open();
  const filters = createFilters({ database, config: testConfig() });
  const id = await filters.add(1, { room: { timeline: { limit: 5000 }, rooms: [] }, own: ['key'] });
  assert.equal(await filters.definition(1, id), '{"own":["key"],"room":{"rooms":[],"timeline":{"limit":100}}}');
  assert.equal((await filters.get(1, id))?.timeline.limit, 100);
  assert.equal(await filters.get(1, id), await filters.get(1, id), 'kept ready');
  assert.equal(await filters.get(2, id), undefined);
  for (const strange of ['99', '-1', 'x', '', '9'.repeat(40)]) assert.equal(await filters.get(1, strange), undefined, strange);
});

withBothDatabases('the text of a filter is no way to the filters of others', async (_t, open) => {
  const database = await open();
  const filters = createFilters({ database, config: testConfig() });
  await filters.get(1, await filters.add(1, { event_format: 'federation' }));
  await assert.rejects(filters.parse('1 0'), (error) => error instanceof MatrixError && error.errcode === 'M_NOT_JSON');
  assert.equal((await filters.parse('{"room":{"timeline":{"limit":500}}}')).timeline.limit, 100);
});

withBothDatabases('wrong and huge filters are refused', async (_t, open) => {
  const database = await open();
  const filters = createFilters({ database, config: testConfig() });
  await assert.rejects(filters.add(1, { room: 5 }), (error) => error instanceof MatrixError && error.errcode === 'M_BAD_JSON');
  await assert.rejects(filters.add(1, { own: 'x'.repeat(70_000) }), (error) => error instanceof MatrixError && error.status === 413);
});

withBothDatabases('whoever stores too many loses the oldest', async (_t, open) => {
  const database = await open();
  const filters = createFilters({ database, config: testConfig() });
  for (let count = 0; count <= 1001; count += 1) await filters.add(1, { own: count });
  assert.equal(await filters.definition(1, '1'), undefined);
  assert.equal(await filters.definition(1, '2'), '{"own":2}');
});
