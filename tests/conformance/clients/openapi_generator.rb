# The life of a user with the client that openapi-generator makes for Ruby.
require 'uri'
require 'openapi_client'

def check(what, found, expected)
  raise "#{what}: #{found.inspect} instead of #{expected.inspect}" unless found == expected
end

# The status and message of a call that has to fail.
def refused
  yield
  raise 'It was not refused'
rescue OpenapiClient::ApiError => error
  [error.code, JSON.parse(error.response_body)['message']]
end

OpenapiClient.configure do |config|
  address = URI(ENV.fetch('API'))
  config.scheme = address.scheme
  config.host = "#{address.host}:#{address.port}"
  config.base_path = address.path
end
password = ENV.fetch('PASSWORD')
login = OpenapiClient::MiscApi.new.post_login(user: 'admin', pass: password)
OpenapiClient.configure { |config| config.access_token = login.grommunio_auth_jwt }

domains = OpenapiClient::SystemAdminDomainsApi.new
service = OpenapiClient::ServiceApi.new
users = OpenapiClient::DomainAdminUsersApi.new
domain = domains.post_domain(OpenapiClient::DomainCreate.new(domainname: 'example.com', max_user: 10)).id

jane = OpenapiClient::UserCreate.new(username: 'jane', password: 'a good password', smtp: true,
                                     properties: { 'displayname' => 'Jane', 'storagequotalimit' => '10 MiB' })
user = users.post_user(domain, jane)
check 'name', user.username, 'jane@example.com'
check 'properties', user.properties['storagequotalimit'], 10_240
shared = users.post_user(domain, OpenapiClient::UserCreate.new(username: 'info', status: 4))
check 'shared mailbox', [shared.status, shared.forward], [4, nil]
contact = users.post_user(domain, OpenapiClient::UserCreate.new(status: 5, properties: { 'displayname' => 'Carl' }))
check 'contact', contact.username, "contact-#{contact.id}"

place = [domain, user.id]
check 'reading', users.get_user(*place), user
page = users.get_users(domain, match: 'jane', match_props: ['displayname'], level: 2, sort: ['username,desc'])
check 'list', [page.count, page.data.map(&:id)], [1, [user.id]]

limit = OpenapiClient::SyncPolicy.new(maxattsize: 1024)
forward = OpenapiClient::Forward.new(forward_type: 1, destination: 'jane@example.net')
changed = users.patch_user(*place, OpenapiClient::UserPatch.new(forward: forward, lang: 'de_AT', sync_policy: limit))
check 'change', [changed.forward, changed.lang, changed.smtp], [forward, 'de_AT', true]
check 'policy of the user', changed.sync_policy.maxattsize, 1024
cleared = users.patch_user(*place, OpenapiClient::UserPatch.new(forward: nil))
check 'null', [cleared.forward, cleared.lang], [nil, 'de_AT']
# What was read may be sent back.
same = OpenapiClient::UserPatch.build_from_hash(users.get_user(*place).to_hash)
check 'the same', users.patch_user(*place, same), cleared

users.put_delegates(*place, ['info@example.com'])
check 'delegates', users.get_delegates(*place).data, ['info@example.com']
problems = users.patch_store_props(*place, { 'title' => 'Dr', 'nosuch' => 1 }).errors
check 'problems', problems, { 'nosuch' => 'Unknown tag' }
check 'store properties', users.get_store_props(*place, properties: %w[title displayname]).data,
      { 'title' => 'Dr', 'displayname' => 'Jane' }
users.put_store_access_user(*place, OpenapiClient::StoreAccessPut.new(usernames: ['info@example.com']))
check 'store access', users.get_store_access_users(*place).data.map(&:username), ['info@example.com']
users.delete_store_access_user(*place, 'info@example.com')

users.set_oof_size(*place, OpenapiClient::Oof.new(state: 1, internal_subject: 'Away'))
oof = users.oof_size_large(*place)
check 'out of office', [oof.state, oof.internal_subject, oof.start_time], [1, 'Away', nil]
policy = users.get_domain_sync_policy(domain).data
check 'policy', [policy.maxdevpwfailedattempts, policy.maxattsize], [8, '']

[['phone', 16.1], ['tablet', '16.1'], ['watch', 14]].each do |id, version|
  service.put_device_report('jane@example.com', id, device_report: { devicetype: 'Phone', asversion: version })
end
devices = users.get_synced_devices(*place).data
check 'devices', devices.map { |each| [each.deviceid, each.asversion, each.firstsynctime] },
      [['phone', 16.1, nil], ['tablet', '16.1', nil], ['watch', 14, nil]]
users.post_device_wipe(*place, 'phone', wipe_request: OpenapiClient::WipeRequest.new(password: password))
check 'wipe', service.get_user_device_wipe_status('jane@example.com').data['phone'].status, 2
users.cancel_wipe(*place, 'phone')
check 'cancelled', users.get_synced_devices(*place).data.first.wipe_status, 1

roles = OpenapiClient::SystemAdminRolesApi.new
permissions = [['DomainAdmin', domain], ['OrgAdmin', '*'], ['SystemAdminRO', nil]].map do |permission, params|
  OpenapiClient::Permission.new(permission: permission, params: params)
end
role = roles.post_role(OpenapiClient::RoleCreate.new(name: 'Helpers', permissions: permissions, users: [user.id]))
check 'permissions', role.permissions.map(&:params), [domain, '*', nil]
check 'holders', role.users.map(&:username), ['jane@example.com']

again = roles.patch_role(role.id, OpenapiClient::RolePatch.new(users: role.users))
check 'what was read, sent back', again.users, role.users

directory = OpenapiClient::LDAPApi.new
anna = directory.search_ldap('anna.schmidt').data.first
created = directory.import_ldap_user(anna.id)
check 'imported', created.username, 'anna.schmidt@example.com'
check 'updated', directory.import_ldap_user(anna.id).id, created.id
check 'synchronised', users.put_downsync(domain, created.id).ldap_id, created.ldap_id

users.set_password(*place, OpenapiClient::NewPassword.new(new: 'a better password'))
status, message = refused { users.patch_user(*place, OpenapiClient::UserPatch.new(username: 'info')) }
check 'refused', [status, message.include?('info@example.com')], [400, true]
users.delete_user(*place)
check 'gone', refused { users.get_user(*place) }.first, 404

# The cookie in place of a Bearer.
OpenapiClient.configure do |config|
  config.api_key['Cookie'] = "grommunioAuthJwt=#{config.access_token}"
  config.access_token = nil
end
check 'profile', OpenapiClient::MiscApi.new.get_profile.user.username, 'admin'
puts 'A whole life'
