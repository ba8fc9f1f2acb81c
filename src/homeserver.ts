import { type SigningKey, signingKeyFromSeed } from '#src/protocol/signatures.ts';
import { ConfigError, type Config, readSigningKeys } from '#src/platform/config/index.ts';
import { createPasswords } from '#src/platform/crypto/passwords.ts';
import { createBackgroundUpdates } from '#src/platform/database/background-updates.ts';
import { openDatabase } from '#src/platform/database/index.ts';
import { createStrings } from '#src/platform/database/strings.ts';
import type { Database, DatabaseMetrics } from '#src/platform/database/types.ts';
import type { Host, Serving } from '#src/platform/host.ts';
import { createRateLimiters } from '#src/platform/http/rate-limits.ts';
import { readTlsFiles, type TlsMaterial } from '#src/platform/http/listener.ts';
import type { Route } from '#src/platform/http/route.ts';
import { createJobs } from '#src/platform/jobs/index.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import type { Metrics } from '#src/platform/metrics/index.ts';
import { createHttpClient, createIpPolicy, proxiesOf, systemDns } from '#src/platform/network/index.ts';
import { systemRandom } from '#src/platform/random.ts';
import { createFollowers, type Followers } from '#src/platform/streams/followers.ts';
import { VERSION } from '#src/platform/version.ts';
import { accountDataRoutes, createAccountData, deleteAccountDataOf } from '#src/account-data/index.ts';
import { createAccounts, type ErasedUsers, openErasedUsers } from '#src/accounts/index.ts';
import {
  adminPusherRoutes,
  adminReportRoutes,
  adminRoutes,
  destinationRoutes,
  encryptionReportRoutes,
  whoisRoutes,
} from '#src/admin/index.ts';
import { createDehydratedDevices, dehydratedDeviceRoutes, deleteDehydrated } from '#src/dehydrated-devices/index.ts';
import { createDeviceLists, createStaleMarks, createTracking, deviceListRoutes } from '#src/device-lists/index.ts';
import {
  createDeviceKeys,
  createDevices,
  createFirstKeys,
  createKnownDevices,
  createKeyMemory,
  createKeySignatures,
  createRenewDevice,
  createSigningKeys,
  crossSigningRoutes,
  deleteCrossSigningOf,
  devicePort,
  deviceRoutes,
  keyRoutes,
  readLastChange,
} from '#src/devices/index.ts';
import {
  createArrivals,
  createAskForKeys,
  createBackfill,
  createByTime,
  openEduSources,
  createInbox,
  createOwnMembership,
  createPeerMembership,
  createRemoteQueries,
  createRemoteSpaces,
  createQuestions,
  peerKeyRoutes,
  peerSpaceRoutes,
  createRoomPeers,
  openOutbox,
  openPeers,
  type Peers,
  queryRoutes,
  type RemoteQueries,
} from '#src/federation/index.ts';
import { createFilters, deleteFiltersOf, filterRoutes, parseEventFilter } from '#src/filters/index.ts';
import { createKeyBackup, deleteKeyBackupsOf, keyBackupRoutes } from '#src/key-backup/index.ts';
import { createProfiles, profilePort, profileRoutes } from '#src/profiles/index.ts';
import { activeAccess, createPresence, openPresence, presenceRoutes } from '#src/presence/index.ts';
import { createReceipts, receiptRoutes } from '#src/receipts/index.ts';
import { createPush, createPusherPart, deletePushDataOf, deletePushersOfSessions, type PusherPart } from '#src/push/index.ts';
import { createReportReading, createReports, reportRoutes } from '#src/reports/index.ts';
import { rendezvousRoutes } from '#src/rendezvous/index.ts';
import { createCreation, createSuccession, createUpgrades, creationRoutes, upgradeRoutes } from '#src/rooms/creation/index.ts';
import { createDirectory, createPublicRooms, directoryRoutes, publicRoomsRoutes } from '#src/rooms/directory/index.ts';
import { createHistory } from '#src/rooms/history/index.ts';
import {
  createLeaveRooms,
  createMembership,
  createProfileChanges,
  membershipRoutes,
  mutualRoomsRoutes,
} from '#src/rooms/membership/index.ts';
import { createMessaging, messagingRoutes } from '#src/rooms/messaging/index.ts';
import {
  acquireWriterLease,
  AUTH_GENERATIONS_UPDATE,
  createRoomGraph,
  scheduleGraphJanitor,
  scheduleLooseEnds,
  updateAuthGenerations,
} from '#src/rooms/graph/index.ts';
import { createEntries, createHierarchy, type EntryTools, spaceRoutes } from '#src/spaces/index.ts';
import { createToDevice, toDeviceRoutes } from '#src/to-device/index.ts';
import { createTyping, typingRoutes } from '#src/typing/index.ts';
import { createUserDirectory, userDirectoryRoutes } from '#src/user-directory/index.ts';
import { openLostTime } from '#src/restoration/index.ts';
import { createSearch, searchRoutes } from '#src/search/index.ts';
import { createSync, parseToken } from '#src/sync/index.ts';
import { clientWellKnown, serverInfoRoutes } from '#src/server-info/index.ts';

/** A homeserver that runs. */
export interface Homeserver {
  /** Where it can be reached: `http://localhost:8008`. */
  readonly urls: readonly string[];
  /** Every endpoint that it answers. */
  readonly routes: readonly Route[];
  readonly database: Database;
  /** Makes a token with which so many accounts can be registered. */
  createRegistrationToken(uses: number): Promise<string>;
  /** Takes over what can change while it runs: certificates and rate limits. */
  reload(config: Config): Promise<void>;
  /** Answers what is being asked, then ends. */
  stop(): Promise<void>;
}

const STOP_GRACE_MS = 10_000;

const databaseMetrics = (metrics: Metrics): DatabaseMetrics => {
  const labels = ['desc'] as const;
  const count = metrics.counter({ name: 'synapse_storage_transaction_time_count_total', help: 'Transactions', labels });
  const seconds = metrics.counter({ name: 'synapse_storage_transaction_time_sum_total', help: 'Seconds of transactions', labels });
  return {
    transaction: (name, tookSeconds) => {
      count.with(name).inc();
      seconds.with(name).inc(tookSeconds);
    },
  };
};

const tlsOf = (config: Config): TlsMaterial | undefined => {
  const { tls_certificate_path: certificate, tls_private_key_path: key } = config;
  if (certificate === undefined || key === undefined) return undefined;
  try {
    return readTlsFiles(certificate, key);
  } catch (error) {
    throw new ConfigError([`tls_certificate_path: ${(error as Error).message}`]);
  }
};

/** What a session without a device has for others to claim. */
const NO_KEYS = { oneTimeKeys: {}, unusedFallbackTypes: [] };

const deviceListPlace = (text: string) => {
  const { events, places } = parseToken(text);
  return { events, deviceLists: places.deviceLists?.position };
};

/** What every piece stands on. */
const layGround = (config: Config, host: Host, database: Database) => ({
  config,
  database,
  clock: host.clock,
  random: systemRandom,
  strings: createStrings(database),
  jobs: createJobs(host.logging.named('synapse.jobs')),
  backgroundUpdates: createBackgroundUpdates({
    database,
    config: config.background_updates,
    clock: host.clock,
    logger: host.logging.named('synapse.storage.background_updates'),
  }),
  limiters: createRateLimiters({ clock: host.clock, config }),
  passwords: createPasswords({
    threads: host.passwordThreads,
    lane: config.server_name,
    rounds: config.bcrypt_rounds,
    pepper: config.password_config.pepper,
  }),
  log: (name: string): Logger => host.logging.named(`synapse.${name}`),
});

type Ground = ReturnType<typeof layGround>;
type OpenPresence = Awaited<ReturnType<typeof openPresence>>;

/** Users, their devices and keys, and what they have set for themselves. */
const assembleUsers = (
  ground: Ground,
  { erasedUsers, remote, presence }: { erasedUsers: ErasedUsers; remote: RemoteQueries; presence: OpenPresence },
) => {
  const { config, database, clock, strings } = ground;
  const keyMemory = createKeyMemory(database);
  const knownDevices = createKnownDevices();
  const toDevice = createToDevice({
    ...ground,
    serverName: config.server_name,
    knownDevices,
    keyRequests: ground.limiters.of('rc_key_requests'),
  });
  const ownDevices = devicePort({
    clock,
    memory: keyMemory,
    known: knownDevices,
    onRemoved: async (tx, userNum, deviceIds) => {
      await toDevice.onDevicesRemoved(tx, userNum, deviceIds);
      await deleteDehydrated(tx, userNum, deviceIds);
    },
  });
  const accounts = createAccounts({
    ...ground,
    log: ground.log('accounts'),
    devices: ownDevices,
    profiles: profilePort,
    erasedUsers,
    onDeactivated: async (tx, userNum) => {
      await deleteFiltersOf(tx, userNum);
      await deleteAccountDataOf(tx, userNum);
      await deletePushDataOf(tx, userNum);
      await deleteKeyBackupsOf(tx, userNum);
      await deleteCrossSigningOf(tx, userNum);
      await presence.book.forget(tx, userNum);
    },
    onSessionsEnded: deletePushersOfSessions,
    clientWellKnown: clientWellKnown(config),
  });
  const { access, confirm } = accounts;
  const devices = createDevices({ database, accounts, memory: keyMemory, port: ownDevices });
  const dehydratedDevices = createDehydratedDevices({
    database,
    devices: ownDevices,
    endSessionsOn: accounts.endSessionsOn,
    firstKeys: createFirstKeys({ memory: keyMemory }),
    toDevice,
  });
  const keys = createDeviceKeys({ database, strings, serverName: config.server_name, memory: keyMemory });
  const signingKeys = createSigningKeys({ database, clock, memory: keyMemory });
  const signatures = createKeySignatures({ database, strings, memory: keyMemory });
  const profiles = createProfiles({ database, config, findUser: accounts.find, remote });
  const filters = createFilters({ database, config });
  const routes: Route[] = [
    ...accounts.routes,
    ...deviceRoutes({ ...accounts, devices }),
    ...keyRoutes({ access, keys }),
    ...crossSigningRoutes({ access, confirm, signingKeys, signatures }),
    ...toDeviceRoutes({ access, toDevice }),
    ...keyBackupRoutes({ access, keyBackup: createKeyBackup({ database }) }),
    ...profileRoutes({ access, profiles, config }),
    ...filterRoutes({ access, filters }),
    ...(config.experimental_features.msc3814_enabled ? dehydratedDeviceRoutes({ access, dehydratedDevices }) : []),
    ...adminRoutes({ access, accounts, devices, dehydratedDevices, signingKeys, serverName: config.server_name }),
    ...whoisRoutes({ access, accounts, strings, serverName: config.server_name }),
    ...rendezvousRoutes({ ...ground, access }),
    ...serverInfoRoutes({ access, clock, config, serverVersion: VERSION }),
  ];
  const renewDevice = createRenewDevice({ database, remaining: keyMemory.remaining });
  return {
    accounts,
    access,
    remainingKeys: keyMemory.remaining,
    publishedKeys: keyMemory.published,
    deviceKeys: keys,
    devices,
    renewDevice,
    toDevice,
    profiles,
    filters,
    routes,
  };
};

type Users = ReturnType<typeof assembleUsers>;

/** The keys with which this server signs; the first signs events and requests. */
const ownSigningKeys = (config: Config): [SigningKey, ...SigningKey[]] => {
  const [first, ...others] = readSigningKeys(config).map(({ keyId, seed }) => signingKeyFromSeed(keyId, Buffer.from(seed)));
  if (first === undefined) throw new ConfigError(['signing_key_path: there is no key in it']);
  return [first, ...others];
};

/** Rooms and what changes them. */
const assembleRooms = async (
  ground: Ground,
  { access, profiles }: Users,
  { keys, access: peer }: Peers,
  { remote, presence, signingKey }: { remote: RemoteQueries; presence: OpenPresence; signingKey: SigningKey },
) => {
  const { config, database, clock, random, strings, jobs, limiters } = ground;
  const graph = await createRoomGraph({
    database,
    strings,
    clock,
    random,
    serverName: config.server_name,
    signingKey,
    serverKeys: keys,
    soleWriter: true,
    forgetsOnLeave: config.forget_rooms_on_leave,
    lease: await acquireWriterLease(database, jobs),
  });
  scheduleGraphJanitor(jobs, database, clock, graph);
  if (config.cleanup_extremities_with_dummy_events)
    scheduleLooseEnds(jobs, { graph, database, strings, clock, threshold: config.dummy_events_threshold });
  ground.backgroundUpdates.register(AUTH_GENERATIONS_UPDATE, updateAuthGenerations);
  const directory = createDirectory({ graph, database, config });
  const membership = createMembership({ graph, strings, directory, remoteDirectory: remote, profiles, config, limiters });
  const creation = createCreation({ graph, membership, directory, clock, config, limiters, log: ground.log('handlers.room') });
  const upgrades = createUpgrades({ graph, membership, directory, clock, config, limiters });
  const messaging = createMessaging({ graph, database, strings, membership, directory, config, limiters });
  const publicRooms = createPublicRooms({ database, graph, config });
  const routes: Route[] = [
    ...directoryRoutes({ access, directory, remote, serverName: config.server_name }),
    ...publicRoomsRoutes({ access, publicRooms, remote, serverName: config.server_name }),
    ...queryRoutes({ peer, profiles, directory, publicRooms, config, version: VERSION }),
    ...creationRoutes({ access, creation }),
    ...upgradeRoutes({ access, upgrades }),
    ...membershipRoutes({ access, membership }),
    ...mutualRoomsRoutes({ access, graph, strings }),
    ...messagingRoutes({ access: activeAccess(access, presence.book), messaging }),
  ];
  return { graph, membership, directory, routes };
};

type Rooms = Awaited<ReturnType<typeof assembleRooms>>;

/** What clients read: history, the small things beside it, and sync over all of it. */
const assembleReading = async (
  ground: Ground,
  { access, accounts, devices, filters, profiles, publishedKeys, remainingKeys, renewDevice, toDevice }: Users,
  { graph, directory, membership }: Rooms,
  { access: peer, client, isAllowed, keys }: Peers,
  {
    erasedUsers,
    remote,
    presence: { book, metrics },
    signingKey,
  }: { erasedUsers: ErasedUsers; remote: RemoteQueries; presence: OpenPresence; signingKey: SigningKey },
) => {
  const { config, database, clock, random, strings, jobs, limiters } = ground;
  const { server_name: serverName } = config;
  const accountData = createAccountData({ database, strings });
  const { ignoredUsers } = accountData;
  const typing = createTyping({ graph, random });
  const receipts = createReceipts({ database, strings, clock, graph, accountData });
  const presence = createPresence({
    ...ground,
    book,
    metrics,
    graph,
    limiter: limiters.of('rc_presence.per_user'),
    log: ground.log('handlers.presence'),
  });
  const active = activeAccess(access, book);
  const push = await createPush({ database, strings, graph, access, readMarks: receipts.readMarks, serverName, jobs });
  accountData.onIgnored(push.setIgnored);
  const forgetKeys = publishedKeys.forget;
  const deviceLists = createDeviceLists({ database, strings, graph, forgetKeys, log: ground.log('handlers.device') });
  const history = createHistory({
    database,
    graph,
    clock,
    access,
    transactionIdOf: graph.transactionIdOf,
    ignoredUsers,
    erasedUsers,
    parseFilter: parseEventFilter,
  });
  const roomPeers = createRoomPeers({ graph, strings, clock, history, erasedUsers, peer, serverName });
  const { hosts } = roomPeers;
  const peerMembership = createPeerMembership({ graph, database, strings, hosts, history, peer, signingKey, config, limiters });
  const arrivals = createArrivals({ graph });
  const lostTime = await openLostTime({ database, log: ground.log('restoration') });
  const questions = createQuestions({ graph, client, log: ground.log('handlers.federation') });
  const backfill = createBackfill({
    ...ground,
    graph,
    questions,
    hosts,
    isAllowed,
    serverName,
    log: ground.log('handlers.federation'),
  });
  history.fillGapsBy(backfill.fill);
  const byTime = createByTime({ graph, questions, hosts, isAllowed, serverName, log: ground.log('handlers.federation') });
  history.fetchMomentsBy(byTime.fetch);
  const inbox = createInbox({
    ...ground,
    graph,
    questions,
    peer,
    hosts,
    arrivals,
    typing,
    receipts,
    presence,
    toDevice,
    deviceLists,
    serverName,
    log: ground.log('federation.federation_server'),
  });
  const ownMembership = createOwnMembership({
    ...ground,
    graph,
    hosts,
    arrivals,
    inbox,
    peers: { client, isAllowed, keys },
    peer,
    signingKey,
    log: ground.log('handlers.room_member'),
  });
  membership.reachBy(ownMembership.remote);
  const search = createSearch({ ...ground, graph, history });
  const userDirectory = createUserDirectory({
    ...ground,
    graph,
    profiles,
    askProfile: (userId) => remote.profile(userId),
    limiter: limiters.of('rc_user_directory'),
    log: ground.log('handlers.user_directory'),
  });
  const sync = await createSync({
    database,
    strings,
    clock,
    graph,
    history,
    access,
    filters,
    ignoredUsers,
    config,
    published: directory.published,
    ports: {
      sources: [typing.source, accountData.source, receipts.source, push.source, presence.source],
      seen: presence.seen,
      unreadCounts: push.unreadCounts,
      outsideState: peerMembership.outsideState,
      deviceLists,
      toDevice: toDevice.source,
      lostTime: {
        judge: lostTime.judge,
        renewKeys: async ({ userNum, deviceId }) => (deviceId === undefined ? undefined : renewDevice(userNum, deviceId)),
      },
      deviceKeys: {
        remaining: async ({ userNum, deviceId }) => (deviceId === undefined ? NO_KEYS : remainingKeys.of(userNum, deviceId)),
      },
    },
  });
  const routes: Route[] = [
    ...history.routes,
    ...roomPeers.routes,
    ...peerMembership.routes,
    ...ownMembership.routes,
    ...inbox.routes,
    ...typingRoutes({ access: active, typing }),
    ...reportRoutes({ access, limiters, reports: createReports({ database, clock, graph, history, accounts, serverName }) }),
    ...adminReportRoutes({ access, reports: createReportReading({ database, graph }) }),
    ...accountDataRoutes({ access, accountData, graph, pushRulesOf: async (caller) => ({ global: await push.rules.rulesOf(caller) }) }),
    ...receiptRoutes({ access: active, receipts }),
    ...presenceRoutes({ access, presence }),
    ...push.routes,
    ...deviceListRoutes({ access, database, graph, deviceLists, parseToken: deviceListPlace }),
    ...encryptionReportRoutes({
      access,
      accounts,
      devices,
      published: publishedKeys,
      remaining: remainingKeys,
      toDevice,
      deviceLists,
      graph,
      serverName,
    }),
    ...searchRoutes({ access, search }),
    ...userDirectoryRoutes({ access, userDirectory }),
    ...sync.routes,
  ];
  const close = async (): Promise<void> => {
    ownMembership.close();
    await inbox.close();
    await backfill.close();
    await byTime.close();
    sync.close();
    typing.close();
    await presence.close();
    await deviceLists.close();
  };
  const succession = createSuccession({
    graph,
    strings,
    directory,
    carry: async (user, from, to) => {
      await accountData.carryOver(user.userNum, from, to);
      await push.rules.carryOver(user, from.roomId, to.roomId);
    },
    serverName,
    log: ground.log('handlers.room'),
  });
  return { inbox, routes, close, hosts, search, userDirectory, push, receipts, typing, presence, succession };
};

type ReadingParts = Awaited<ReturnType<typeof assembleReading>>;

/** Spaces, here and elsewhere, and what is told of rooms to those who are not in them. */
const assembleSpaces = (
  ground: Ground,
  { access }: Users,
  { graph, membership }: Rooms,
  { access: peer, client, isAllowed }: Peers,
  { hosts }: ReadingParts,
): readonly Route[] => {
  const { strings, clock, random, config } = ground;
  const serverName = config.server_name;
  const hasServer: EntryTools['hasServer'] = async (room, name, withInvited) =>
    (await hosts.isIn(room, name)) || (withInvited && (await graph.memberships.isInvited(room.num, name)));
  const remote = createRemoteSpaces({ client, isAllowed, serverName, clock, log: ground.log('handlers.room_summary') });
  const hierarchy = createHierarchy({ graph, entries: createEntries({ graph, strings, hasServer }), remote, clock, random });
  return [...spaceRoutes({ access, clock, hierarchy, locate: membership.locate }), ...peerSpaceRoutes({ peer, hierarchy })];
};

/** Keys of users of other servers for this server's, and the other way round. */
const exchangeKeys = (
  ground: Ground,
  { deviceKeys, devices, publishedKeys }: Users,
  { graph }: Rooms,
  { access: peer, client }: Peers,
): readonly Route[] => {
  const { config, database, strings } = ground;
  const tracking = createTracking({ database, memberships: graph.memberships, forgetKeys: publishedKeys.forget });
  graph.takePart(createStaleMarks({ graph, serverName: config.server_name }));
  deviceKeys.askOthersBy(createAskForKeys({ client, strings, tracking, log: ground.log('handlers.e2e_keys') }));
  return peerKeyRoutes({
    peer,
    keys: deviceKeys,
    devices,
    published: publishedKeys,
    strings,
    lastChange: (userNum) => database.read('last change of devices', (reader) => readLastChange(reader, userNum)),
    config,
  });
};

/** Notifications to what users name, which goes out under the rules for such addresses. */
const assemblePushers = async (
  ground: Ground,
  { access }: Users,
  { graph }: Rooms,
  { push, receipts }: ReadingParts,
  metrics: Metrics,
): Promise<PusherPart> => {
  const { config } = ground;
  const pushers = await createPusherPart({
    ...ground,
    ...push,
    graph,
    access,
    readMarks: receipts.readMarks,
    http: createHttpClient({
      dns: systemDns,
      policy: createIpPolicy({ denied: config.ip_range_blacklist, allowed: config.ip_range_whitelist }),
      userAgent: `Myelin/${VERSION}`,
      proxies: proxiesOf(config, process.env),
    }),
    metrics,
    log: ground.log('push.httppusher'),
  });
  receipts.onRead(pushers.hasRead);
  return pushers;
};

/** What goes on beside the requests: followers of streams, and work that an earlier process left. */
const startFollowers = async (
  ground: Ground,
  { accounts, profiles }: Users,
  { graph, membership }: Rooms,
  followed: readonly { readonly follow: (followers: Followers) => Promise<void> }[],
): Promise<Followers> => {
  const { database, clock, strings, jobs } = ground;
  const followers = createFollowers({ database, clock, logger: ground.log('streams') });
  const profileChanges = createProfileChanges({ graph, database, strings, profiles, log: ground.log('handlers.profile') });
  await followers.follow({
    name: 'profile changes',
    stream: 'profiles',
    start: 'beginning',
    batch: 100,
    // Handled again, an old change would take the place of the name that its user has chosen for one room since.
    savesAtOnce: true,
    handle: async ({ from, to }) => profileChanges.handle(from.min, to.min),
  });
  for (const each of followed) await each.follow(followers);
  accounts.parting.start(createLeaveRooms({ graph, membership, log: ground.log('handlers.deactivate_account') }));
  for (const job of accounts.jobs) jobs.every(job.name, job.everyMs, job.run);
  return followers;
};

/** The pieces of a homeserver, put together: what it answers and what runs beside. */
const assemble = async (config: Config, host: Host, database: Database) => {
  const ground = layGround(config, host, database);
  const erasedUsers = await openErasedUsers(database);
  const ownKeys = ownSigningKeys(config);
  const peers = await openPeers({ ...ground, dns: systemDns, version: VERSION, ownKeys });
  const remote = createRemoteQueries(peers);
  const presence = await openPresence({ ...ground, metrics: host.metrics });
  const users = assembleUsers(ground, { erasedUsers, remote, presence });
  const rooms = await assembleRooms(ground, users, peers, { remote, presence, signingKey: ownKeys[0] });
  const reading = await assembleReading(ground, users, rooms, peers, { erasedUsers, remote, presence, signingKey: ownKeys[0] });
  const pushers = await assemblePushers(ground, users, rooms, reading, host.metrics);
  const outbox = await openOutbox({
    ...ground,
    metrics: host.metrics,
    graph: rooms.graph,
    hosts: reading.hosts,
    peers,
    sources: await openEduSources({
      ...ground,
      ...reading,
      toDevice: users.toDevice,
      devices: users.devices,
      published: users.publishedKeys,
      tellsNames: config.allow_device_name_lookup_over_federation,
      graph: rooms.graph,
      peers,
      serverName: config.server_name,
      receiptsPerSecond: config.federation_rr_transactions_per_room_per_second,
      log: ground.log('federation.sender'),
    }),
    serverName: config.server_name,
  });
  const followers = await startFollowers(ground, users, rooms, [
    outbox,
    reading.search,
    reading.userDirectory,
    pushers,
    reading.succession,
  ]);
  ground.backgroundUpdates.start();
  await reading.inbox.resume();
  return {
    routes: [
      ...users.routes,
      ...peers.routes,
      ...rooms.routes,
      ...reading.routes,
      ...exchangeKeys(ground, users, rooms, peers),
      ...assembleSpaces(ground, users, rooms, peers, reading),
      ...pushers.routes,
      ...adminPusherRoutes({ access: users.access, accounts: users.accounts, pushers: pushers.pushers, serverName: config.server_name }),
      ...destinationRoutes({ access: users.access, destinations: outbox.destinations, graph: rooms.graph }),
    ],
    createRegistrationToken: users.accounts.createRegistrationToken,
    limiters: ground.limiters,
    stop: async (): Promise<void> => {
      await reading.close();
      await ground.backgroundUpdates.stop();
      await ground.jobs.stop();
      await outbox.stop();
      await pushers.stop();
      await followers.stop();
      await peers.close();
      await users.accounts.close();
    },
  };
};

/** Opens the database, puts the homeserver together and listens. Throws `ConfigError` or `DatabaseError` with a sentence for the operator. */
export const startHomeserver = async (config: Config, host: Host): Promise<Homeserver> => {
  const database = await openDatabase({
    config: config.database,
    writer: 'master',
    clock: host.clock,
    logger: host.logging.named('synapse.storage'),
    metrics: databaseMetrics(host.metrics),
  });
  const open: Serving[] = [];
  try {
    const parts = await assemble(config, host, database);
    const urls: string[] = [];
    for (const listener of config.listeners) {
      const serving = await host.serve({
        listener,
        routes: parts.routes,
        hostNames: [config.server_name],
        serverHeader: `Myelin/${VERSION}`,
        hasMetrics: config.enable_metrics,
        tls: listener.tls ? tlsOf(config) : undefined,
      });
      open.push(serving);
      const scheme = listener.tls ? 'https' : 'http';
      if (listener.type === 'http')
        urls.push(serving.port === undefined ? `unix:${listener.path ?? ''}` : `${scheme}://localhost:${String(serving.port)}`);
    }
    return {
      urls,
      routes: parts.routes,
      database,
      createRegistrationToken: parts.createRegistrationToken,
      reload: async (changed) => {
        const tls = tlsOf(changed);
        if (tls !== undefined) for (const serving of open) serving.reloadTls(tls);
        parts.limiters.reload(changed);
      },
      stop: async () => {
        await Promise.all(open.map(async (serving) => serving.close(STOP_GRACE_MS)));
        await parts.stop();
        await database.close();
      },
    };
  } catch (error) {
    for (const serving of open) await serving.close(0);
    await database.close();
    throw error;
  }
};
