// A charge point with strict schemas: node station.mjs <subprotocol> <endpoint> <identity> <password>
// It boots, charges as the profile of its transaction says, and answers what it is asked.
import { RPCClient } from 'ocpp-rpc';
import { listen, obey, strict, tell } from './speaking.mjs';

const [protocol, endpoint, identity, password] = process.argv.slice(2);
const old = protocol === 'ocpp1.6';
const client = new RPCClient({ endpoint, identity, password, reconnect: false, ...strict(protocol) });
const now = () => new Date().toISOString();
const settings = old
    ? { ChargeProfileMaxStackLevel: '9', ChargingScheduleMaxPeriods: '24', ChargingScheduleAllowedChargingRateUnit: 'Current' }
    : { ProfileStackLevel: '9', PeriodsPerSchedule: '24', RateUnit: 'A' };

function answers(method, params) {
    switch (method) {
        case 'GetConfiguration': return {
            configurationKey: (params.key ?? []).filter((key) => key in settings)
                .map((key) => ({ key, readonly: true, value: settings[key] })),
        };
        case 'GetVariables': return {
            getVariableResult: params.getVariableData.map(({ component, variable }) => variable.name in settings
                ? { component, variable, attributeStatus: 'Accepted', attributeValue: settings[variable.name] }
                : { component, variable, attributeStatus: 'UnknownVariable' }),
        };
        case 'SetVariables': return {
            setVariableResult: params.setVariableData
                .map(({ component, variable }) => ({ component, variable, attributeStatus: 'Accepted' })),
        };
        case 'ChangeConfiguration': case 'SetChargingProfile': case 'TriggerMessage': case 'ClearChargingProfile':
        case 'RemoteStopTransaction': case 'RequestStopTransaction': case 'ChangeAvailability':
            return { status: 'Accepted' };
    }
}

const sampled = [1, 2, 3].map((phase) => ({ measurand: 'Current.Import', phase: `L${phase}`, amps: 12.5 }));
const meterValue = () => [{
    timestamp: now(),
    sampledValue: old
        ? [...sampled.map(({ amps, ...rest }) => ({ ...rest, value: String(amps), unit: 'A' })),
            { measurand: 'Energy.Active.Import.Register', value: '1234', unit: 'Wh' }]
        : [...sampled.map(({ amps, ...rest }) => ({ ...rest, value: amps, unitOfMeasure: { unit: 'A' } })),
            { measurand: 'Energy.Active.Import.Register', value: 1234, unitOfMeasure: { unit: 'Wh' } }],
}];

async function charge() {
    if (old) {
        await client.call('StatusNotification', { connectorId: 1, errorCode: 'NoError', status: 'Preparing' });
        await client.call('Authorize', { idTag: 'PEER' });
        const { transactionId } = await client.call('StartTransaction',
            { connectorId: 1, idTag: 'PEER', meterStart: 1000, timestamp: now() });
        await client.call('StatusNotification', { connectorId: 1, errorCode: 'NoError', status: 'Charging' });
        await client.call('MeterValues', { connectorId: 1, transactionId, meterValue: meterValue() });
        return;
    }
    const event = (eventType, triggerReason, seqNo, more) => client.call('TransactionEvent', {
        eventType, triggerReason, seqNo, timestamp: now(), evse: { id: 1, connectorId: 1 },
        transactionInfo: { transactionId: 'peer-1', chargingState: 'Charging' }, meterValue: meterValue(), ...more,
    });
    const idToken = { idToken: 'PEER', type: 'Central' };
    await client.call('StatusNotification',
        { timestamp: now(), connectorStatus: 'Occupied', evseId: 1, connectorId: 1 });
    await client.call('Authorize', { idToken });
    await event('Started', 'Authorized', 0, { idToken });
    await client.call('NotifyEVChargingNeeds', {
        evseId: 1,
        chargingNeeds: {
            requestedEnergyTransfer: 'AC_three_phase',
            acChargingParameters: { energyAmount: 9000, evMinCurrent: 6, evMaxCurrent: 13, evMaxVoltage: 230 },
        },
    });
    await event('Updated', 'MeterValuePeriodic', 1, {});
}

listen(client, answers);
await client.connect();
const boot = old
    ? { chargePointVendor: 'ocpp-rpc', chargePointModel: 'peer' }
    : { reason: 'PowerUp', chargingStation: { vendorName: 'ocpp-rpc', model: 'peer' } };
const { status } = await client.call('BootNotification', boot);
await client.call('Heartbeat', {});
await charge();
tell({ charging: status });
await obey(client);
await client.close();
