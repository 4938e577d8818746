// What both peers share: JSON lines on standard output, commands as JSON lines on standard input.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import ocppRpc from 'ocpp-rpc';

const { createValidator } = ocppRpc;

// Strict schemas of one version. The package has those of 2.1, but under names that its strict mode does not look for.
export function strict(protocol) {
    if (protocol !== 'ocpp2.1') {
        return { protocols: [protocol], strictMode: true };
    }
    const named = createRequire(import.meta.url)('ocpp-rpc/lib/schemas/ocpp2_1.json').map((schema) => ({
        ...schema, $id: schema.$id.replace(/Request$/, '.req').replace(/Response$/, '.conf'),
    }));
    return { protocols: [protocol], strictMode: true, strictModeValidators: [createValidator(protocol, named)] };
}

export function tell(line) {
    process.stdout.write(JSON.stringify(line) + '\n');
}

// Everything that one end of a connection says, receives, or finds wrong with the schemas of the standard.
export function listen(client, answers) {
    client.on('strictValidationFailure', ({ method, outbound, error }) =>
        tell({ violation: method, outbound, error: String(error), details: error.details ?? null }));
    client.on('badMessage', ({ error }) => tell({ violation: 'frame', outbound: false, error: String(error) }));
    client.handle(({ method, params }) => {
        const answer = answers(method, params);
        tell({ action: method, payload: params, answered: answer !== undefined });
        if (answer === undefined) {
            throw Object.assign(new Error(`${method} is not expected here`), { rpcErrorCode: 'NotImplemented' });
        }
        return answer;
    });
}

// Calls as the test asks for them: {"action": ..., "payload": ...}; the answers are told.
export async function obey(client) {
    for await (const text of createInterface({ input: process.stdin })) {
        const { action, payload } = JSON.parse(text);
        try {
            tell({ asked: action, answer: await client.call(action, payload) });
        } catch (error) {
            tell({ asked: action, error: String(error), code: error.rpcErrorCode ?? null });
        }
    }
}
