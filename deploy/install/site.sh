# shellcheck shell=bash
# nginx in front of a role: TLS, who may call.

SITES=/etc/argens/nginx

write_sites() {
    has_site || return 0
    step "nginx"
    folder $SITES 0755 root:root
    folder $ETC/tls 0700 root:root
    folder /var/log/argens 0750 root:adm
    write_certificate
    filled tls.conf | put $SITES/tls.conf 0644 root:root
    put $SITES/http.conf 0644 root:root <"$CURRENT/deploy/nginx/http.conf"
    write_callers
    local role
    for role in $ROLES; do
        has_site "$role" || continue
        filled "$role.conf" "$role" | put "$SITES/$role.site.conf" 0644 root:root
    done
    put /etc/nginx/conf.d/argens.conf 0644 root:root <<CONF
# Argens: the sites of this machine (deploy/nginx of the release).
include $SITES/http.conf;
include $SITES/*.site.conf;
CONF
    nginx -t -q
    if [ "$START" = yes ] && [ -d /run/systemd/system ]; then
        systemctl reload-or-restart nginx
    fi
}

write_certificate() {
    if [ -n "$TLS_CERT" ]; then
        put $ETC/tls/certificate.pem 0644 root:root <"$TLS_CERT"
        put $ETC/tls/key.pem 0600 root:root <"$TLS_KEY"
    elif [ ! -e $ETC/tls/key.pem ]; then
        local name key
        name=$(own_name)
        key=$(mktemp -d)
        openssl req -x509 -newkey rsa:3072 -nodes -days 825 -subj "/CN=$name" \
            -addext "subjectAltName=DNS:$name" -keyout "$key/key" -out "$key/certificate" 2>/dev/null
        put $ETC/tls/certificate.pem 0644 root:root <"$key/certificate"
        put $ETC/tls/key.pem 0600 root:root <"$key/key"
        rm -r "$key"
        echo "   the certificate is signed by itself: have the hospital's authority make one for $name"
    fi
}

# write_callers: who may call; the files belong to whoever runs the machine once they are there
write_callers() {
    local file address
    for file in callers dicomweb-callers; do
        [ -e "$SITES/$file.conf" ] || put "$SITES/$file.conf" 0644 root:root <"$CURRENT/deploy/nginx/$file.conf"
    done
    for address in "${ALLOW[@]}"; do
        grep -q "^allow $address;" $SITES/callers.conf && continue
        echo "allow $address;" >>$SITES/callers.conf
        changed "$address may call"
    done
    for file in upstreams locations; do
        [ -e "$SITES/nodes-$file.conf" ] || put "$SITES/nodes-$file.conf" 0644 root:root <<CONF
# Made by: argens portal nginx $file >$SITES/nodes-$file.conf (docs/installation.md)
CONF
    done
}

# filled TEMPLATE [ROLE]: a file of deploy/nginx with this machine's values
filled() {
    local role=${2:-} port="" name="" https=""
    if [ -n "$role" ]; then
        port=$(read_setting "$role" PACS_HTTP_PORT)
        case $role in
            node) name=$(read_setting node PACS_NODE_NAME) ;;
            *) name=$role ;;
        esac
        https=$(https_port "$role")
    fi
    sed -e "s|\${NAME}|$name|g" -e "s|\${PORT}|$port|g" -e "s|\${LISTEN}|$https|g" \
        -e "s|\${LISTEN_PLAIN}|80|g" -e "s|\${SERVER_NAME}|$(own_name)|g" \
        -e "s|\${LOG_DIR}|/var/log/argens|g" -e "s|\${NGINX_DIR}|$SITES|g" \
        -e "s|\${STATIC_DIR}|$CURRENT/pacs_web/static|g" \
        -e "s|\${DATA_DIR}|$([ -z "$role" ] || data_of "$role")|g" \
        -e "s|\${TLS_CERT}|$ETC/tls/certificate.pem|g" -e "s|\${TLS_KEY}|$ETC/tls/key.pem|g" \
        "$CURRENT/deploy/nginx/$1"
}
