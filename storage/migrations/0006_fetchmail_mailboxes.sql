-- Entries used not to follow an alias that went, nor a username in other letters: they deliver to the username.
UPDATE fetchmail
   SET mailbox = (SELECT username FROM users WHERE id = fetchmail.user_id)
 WHERE fold(mailbox) NOT IN (SELECT key FROM addresses WHERE user_id = fetchmail.user_id AND kind <> 'altname');
