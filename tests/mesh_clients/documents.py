"""The documents that shipped editors send, field for field."""

from typing import Final

GROUP: Final = "id domain fullId name hostId expiresAt heartbeatIntervalSeconds useWebSocket pollingIntervalSeconds"
STATUS: Final = "nodeId groupId domain data { key value } timestamp"
EVENT: Final = "name firedByNodeId groupId domain payload timestamp orderKey"
BATCH: Final = f"events {{ {EVENT} }} firedByNodeId groupId domain timestamp"
DISSOLVED: Final = "groupId domain message"
IN_GROUP: Final = "$groupId: ID!, $domain: String!"
THERE: Final = "groupId: $groupId, domain: $domain"

CREATE_DOMAIN: Final = "mutation CreateDomain { createDomain }"
CREATE: Final = f"""
mutation CreateGroup(
  $name: String!, $hostId: ID!, $domain: String!, $maxConnectionTimeSeconds: Int, $useWebSocket: Boolean!
) {{
  createGroup(
    name: $name, hostId: $hostId, domain: $domain, maxConnectionTimeSeconds: $maxConnectionTimeSeconds,
    useWebSocket: $useWebSocket
  ) {{ {GROUP} }}
}}"""
JOIN: Final = f"""
mutation JoinGroup({IN_GROUP}, $nodeId: ID!, $useWebSocket: Boolean) {{
  joinGroup({THERE}, nodeId: $nodeId, useWebSocket: $useWebSocket) {{
    id name groupId domain expiresAt heartbeatIntervalSeconds useWebSocket pollingIntervalSeconds
  }}
}}"""
LEAVE: Final = f"""
mutation LeaveGroup({IN_GROUP}, $nodeId: ID!) {{
  leaveGroup({THERE}, nodeId: $nodeId) {{ peerId groupId domain message }}
}}"""
DISSOLVE: Final = f"""
mutation DissolveGroup({IN_GROUP}, $hostId: ID!) {{
  dissolveGroup({THERE}, hostId: $hostId) {{ groupId domain groupDissolve {{ {DISSOLVED} }} }}
}}"""
RENEW: Final = f"""
mutation RenewHeartbeat({IN_GROUP}, $hostId: ID!) {{
  renewHeartbeat({THERE}, hostId: $hostId) {{ groupId domain expiresAt heartbeatIntervalSeconds }}
}}"""
BEAT: Final = f"""
mutation SendMemberHeartbeat({IN_GROUP}, $nodeId: ID!) {{
  sendMemberHeartbeat({THERE}, nodeId: $nodeId) {{ nodeId groupId domain expiresAt heartbeatIntervalSeconds }}
}}"""
REPORT: Final = f"""
mutation ReportDataByNode({IN_GROUP}, $nodeId: ID!, $data: [SensorDataInput!]!) {{
  reportDataByNode({THERE}, nodeId: $nodeId, data: $data) {{ groupId domain nodeStatus {{ {STATUS} }} }}
}}"""
FIRE: Final = f"""
mutation FireEventsByNode({IN_GROUP}, $nodeId: ID!, $events: [EventInput!]!) {{
  fireEventsByNode({THERE}, nodeId: $nodeId, events: $events) {{ groupId domain batchEvent {{ {BATCH} }} }}
}}"""
RECORD: Final = f"""
mutation RecordEventsByNode({IN_GROUP}, $nodeId: ID!, $events: [EventInput!]!) {{
  recordEventsByNode({THERE}, nodeId: $nodeId, events: $events) {{ groupId domain recordedCount nextSince }}
}}"""
LIST: Final = """
query ListGroupsByDomain($domain: String!) {
  listGroupsByDomain(domain: $domain) { id domain fullId name hostId expiresAt }
}"""
SEARCH: Final = """
query SearchGroupsByNamePrefix($namePrefix: String!, $limit: Int) {
  searchGroupsByNamePrefix(namePrefix: $namePrefix, limit: $limit) { id domain fullId name hostId expiresAt }
}"""
STATUSES: Final = f"query ListGroupStatuses({IN_GROUP}) {{ listGroupStatuses({THERE}) {{ {STATUS} }} }}"
POLL: Final = f"""
query PollGroupData({IN_GROUP}, $since: String!) {{
  pollGroupData({THERE}, since: $since) {{ events {{ {EVENT} cursor }} nodeStatuses {{ {STATUS} }} }}
}}"""
SUBSCRIBE: Final = f"""
subscription OnMessageInGroup({IN_GROUP}) {{
  onMessageInGroup({THERE}) {{
    groupId domain
    nodeStatus {{ {STATUS} }}
    batchEvent {{ {BATCH} }}
    groupDissolve {{ {DISSOLVED} }}
  }}
}}"""
