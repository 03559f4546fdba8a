-- Asks postroom, over its socket, about logins and mailboxes. Written by `postroom mail setup`; needs lua-socket.

local socket = require("socket")
local unix = require("socket.unix")

local SOCKET = "@SOCKET@"
local MAIL = "@MAIL@"
-- Seconds. Longer than postroom takes for any answer.
local PATIENCE = 35
-- Seconds, longer than Postfix waits for an answer to a login (10), and between two attempts.
local SMTP_PATIENCE, PAUSE = 12, 0.5

local escapes = { ["\0"] = "\0010", ["\1"] = "\0011", ["\t"] = "\001t", ["\n"] = "\001n", ["\r"] = "\001r" }
local escaped = { ["\0010"] = "\0", ["\0011"] = "\1", ["\001t"] = "\t", ["\001n"] = "\n", ["\001r"] = "\r" }
local connection = nil

local function connect()
  local stream = unix.stream and unix.stream() or unix()
  stream:settimeout(PATIENCE)
  if stream:connect(SOCKET) then
    return stream
  end
  stream:close()
  return nil
end

local function forget()
  if connection then
    connection:close()
  end
  connection = nil
end

-- The first line of the answer, or nil. A connection that was kept may have ended meanwhile, so it is tried twice.
local function send(...)
  local fields = {}
  for index = 1, select("#", ...) do
    fields[index] = tostring(select(index, ...) or ""):gsub("[%z\1\t\n\r]", escapes)
  end
  local line = table.concat(fields, "\t") .. "\n"
  for _ = 1, 2 do
    connection = connection or connect()
    if connection and connection:send(line) then
      local answer = connection:receive("*l")
      if answer then
        return answer
      end
    end
    forget()
  end
  return nil
end

-- The fields of the answer; a missing answer is a temporary failure.
local function ask(...)
  local answer = send(...)
  local fields = {}
  for field in ((answer or "temporary") .. "\t"):gmatch("([^\t]*)\t") do
    fields[#fields + 1] = field:gsub("\1[01tnr]", escaped)
  end
  return fields
end

-- Other mailboxes that somebody may open: each becomes a namespace of their own mailbox.
local function add_opened(result, names)
  local count = 0
  for name in names:gmatch("[^,]+") do
    local fields = ask("user", name)
    if fields[1] == "temporary" then
      return false
    end
    for index = 3, #fields do
      local folder = fields[index]:match("^mailbox=(.*)$")
      if folder then
        count = count + 1
        local key = "namespace/opened" .. count .. "/"
        result["namespace"] = (result["namespace"] and result["namespace"] .. "," or "") .. "opened" .. count
        result[key .. "type"] = "public"
        result[key .. "separator"] = "/"
        result[key .. "prefix"] = "Shared/" .. fields[2] .. "/"
        result[key .. "location"] = "maildir:" .. MAIL .. "/" .. folder .. "/Maildir"
        result[key .. "subscriptions"] = "no"
        result[key .. "list"] = "yes"
      end
    end
  end
  return true
end

-- What postroom tells of a mailbox, as fields of Dovecot's userdb; nil when a part cannot be told now.
local function described(fields, service)
  local result = { user = fields[2], uid = "@USER@", gid = "@GROUP@" }
  for index = 3, #fields do
    local key, value = fields[index]:match("^([^=]*)=(.*)$")
    if key == "mailbox" then
      result.home = MAIL .. "/" .. value
    elseif key == "quota_kib" then
      result["@QUOTA@"] = ("@QUOTA_VALUE@"):gsub("KIB", value)
    elseif key == "opens" and service ~= "lmtp" and service ~= "pop3" and not add_opened(result, value) then
      return nil
    end
  end
  return result
end

-- Postfix makes 535 of every refusal, so a client would take its password for wrong. Only an answer that does not come
-- becomes 454. So what cannot be told now is asked again, until Postfix has given up. This keeps a process busy; too many
-- wrong passwords must not do that to everybody, so those get 535.
local function verified(service, ...)
  local deadline = socket.gettime() + SMTP_PATIENCE
  local fields = ask("login", ...)
  while service == "smtp" and fields[1] == "temporary" and fields[2] ~= "throttled" and socket.gettime() < deadline do
    socket.sleep(PAUSE)
    fields = ask("login", ...)
  end
  return fields
end

function auth_password_verify(request, password)
  local service = request.service or request.protocol
  local fields = verified(service, request.user, password, service, request.remote_ip)
  if fields[1] == "ok" then
    return dovecot.auth.PASSDB_RESULT_OK, { user = fields[2] }
  elseif fields[1] == "mismatch" then
    return dovecot.auth.PASSDB_RESULT_PASSWORD_MISMATCH, ""
  end
  return dovecot.auth.PASSDB_RESULT_INTERNAL_FAILURE, "postroom does not answer"
end

function auth_userdb_lookup(request)
  local fields = ask("user", request.user)
  local found = fields[1] == "ok" and described(fields, request.service or request.protocol)
  if found then
    return dovecot.auth.USERDB_RESULT_OK, found
  elseif fields[1] == "unknown" then
    return dovecot.auth.USERDB_RESULT_USER_UNKNOWN, ""
  end
  return dovecot.auth.USERDB_RESULT_INTERNAL_FAILURE, "postroom does not answer"
end

function auth_userdb_iterate()
  local users = {}
  local name = send("users")
  while name and name ~= "" do
    users[#users + 1] = name
    name = connection:receive("*l")
  end
  return users
end

function script_init()
  return 0
end

function script_deinit()
  forget()
end
