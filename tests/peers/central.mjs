// A central system with strict schemas for one charge point: node central.mjs <subprotocol>
import { RPCServer } from 'ocpp-rpc';
import { listen, obey, strict, tell } from './speaking.mjs';

const [protocol] = process.argv.slice(2);
const old = protocol === 'ocpp1.6';
const server = new RPCServer(strict(protocol));
let transactions = 0;

function answers(method) {
    const currentTime = new Date().toISOString();
    switch (method) {
        case 'BootNotification': return { status: 'Accepted', currentTime, interval: 300 };
        case 'Heartbeat': return { currentTime };
        case 'Authorize': return old ? { idTagInfo: { status: 'Accepted' } } : { idTokenInfo: { status: 'Accepted' } };
        case 'StartTransaction': return { transactionId: ++transactions, idTagInfo: { status: 'Accepted' } };
        case 'NotifyEVChargingNeeds': return { status: 'Accepted' };
        case 'PullDynamicScheduleUpdate': return { status: 'Accepted', scheduleUpdate: { limit: 9 } };
        case 'DataTransfer': return { status: 'UnknownVendorId' };
        case 'StatusNotification': case 'MeterValues': case 'StopTransaction': case 'TransactionEvent': return {};
    }
}

server.auth((accept, reject, { identity, password }) => {
    tell({ connected: identity, password: password?.toString() ?? null });
    accept({});
});
server.on('client', (client) => {
    listen(client, answers);
    obey(client);
});
const http = await server.listen(0, '127.0.0.1');
tell({ port: http.address().port });
