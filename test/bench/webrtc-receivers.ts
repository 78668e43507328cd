import { RTCPeerConnection, useH264 } from 'werift';

/** Opens viewers of a WHEP endpoint that receive and decode nothing. `node webrtc-receivers.ts <url> <count>` */
const [url = '', count = '1'] = process.argv.slice(2);

for (let i = 0; i < Number(count); i++) {
  const connection = new RTCPeerConnection({ codecs: { video: [useH264()] }, iceServers: [] });
  connection.addTransceiver('video', { direction: 'recvonly' });
  const connected = new Promise<void>((resolve) =>
    connection.connectionStateChange.subscribe((state) => {
      if (state === 'connected') resolve();
    }),
  );
  await connection.setLocalDescription(await connection.createOffer());
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/sdp' },
    body: connection.localDescription!.sdp,
  });
  if (response.status !== 201) throw new Error(await response.text());
  await connection.setRemoteDescription({ type: 'answer', sdp: await response.text() });
  await connected;
}
process.stdout.write('ready\n');
setInterval(() => {}, 60_000);
