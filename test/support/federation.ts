import { makeAuthority, type Authority, type Certificate } from './certificates.ts';
import { freePort, startServer, type Server, type ServerOptions } from './server.ts';

let authority: Authority | undefined;
const theAuthority = (): Authority => (authority ??= makeAuthority());

/** A certificate for this machine, of the authority that all servers of the test trust. */
export const peerCertificate = (): Certificate => theAuthority().issue('DNS:localhost', 'IP:127.0.0.1');

/**
 * Starts a homeserver that others can reach: `localhost:PORT`, over TLS, with a certificate of an authority that all servers of the test trust, and
 * addresses of this machine allowed.
 */
export const startPeer = async (options: ServerOptions = {}, start = startServer): Promise<Server> => {
  const { certificatePath, keyPath } = peerCertificate();
  const port = await freePort();
  return start({
    ...options,
    listeners: [{ port, type: 'http', tls: true, bind_addresses: ['127.0.0.1'], resources: [{ names: ['federation', 'keys'] }] }],
    settings: {
      server_name: `localhost:${String(port)}`,
      tls_certificate_path: certificatePath,
      tls_private_key_path: keyPath,
      federation_custom_ca_list: [theAuthority().path],
      ip_range_blacklist: [],
      allow_public_rooms_over_federation: true,
      room_list_publication_rules: [{ action: 'allow' }],
      ...options.settings,
    },
  });
};
