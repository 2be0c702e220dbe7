{{/* Names of the collectors' objects. */}}
{{- define "sidetap.collector" -}}{{ include "sidetap.fullname" . }}-collector{{- end -}}

{{/* The Secret that holds their certificate; named as the webhook's is, see sidetap.tlsSecret. */}}
{{- define "sidetap.collectorTlsSecret" -}}
{{- if eq .Values.certificates.mode "selfManaged" -}}
{{- include "sidetap.collector" . }}-self-managed-tls
{{- else if eq .Values.certificates.mode "certManager" -}}
{{- include "sidetap.collector" . }}-tls
{{- else -}}
{{- .Values.collector.tlsSecretName | default (printf "%s-tls" (include "sidetap.collector" .)) -}}
{{- end -}}
{{- end -}}

{{- define "sidetap.collectorLabels" -}}
app.kubernetes.io/name: {{ include "sidetap.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: collector
{{- end -}}

{{/* Do collectors ask the registry whether a tap is the pod that it says it is? */}}
{{- define "sidetap.collectorProves" -}}
{{- if and .Values.collector.enabled .Values.collector.proveTaps (include "sidetap.givesIdentities" .) -}}yes{{- end -}}
{{- end -}}

{{/* Do they need their Secret: for the certificate, or for the CA of the registry? */}}
{{- define "sidetap.collectorTls" -}}
{{- if and .Values.collector.enabled (or .Values.collector.tls (include "sidetap.collectorProves" .)) -}}yes{{- end -}}
{{- end -}}

{{/* Do taps send to the collectors, unless their profile says otherwise? */}}
{{- define "sidetap.collectsByDefault" -}}
{{- if and .Values.collector.enabled .Values.collector.allTaps -}}yes{{- end -}}
{{- end -}}

{{/* Do collectors dial sensors? The other outputs need no sensor.address. */}}
{{- define "sidetap.collectorDials" -}}
{{- if has .Values.collector.output (list "rpcap" "vxlan") -}}yes{{- end -}}
{{- end -}}

{{/* Each collector has a volume of its own, which outlives the pod. */}}
{{- define "sidetap.collectorKeepsFiles" -}}
{{- if and (eq .Values.collector.output "pcap") .Values.collector.files.persistent -}}yes{{- end -}}
{{- end -}}

{{/* Ports of the collectors on which packets come: one for streams; for datagrams as many as the program has by default. */}}
{{- define "sidetap.collectorDataPorts" -}}
{{- $first := int .Values.collector.dataPort -}}
{{- if .Values.collector.tls -}}
{{- toJson (list $first) -}}
{{- else -}}
{{- $count := int (.Values.collector.env.DATA_PORTS | default "4") -}}
{{- toJson (untilStep $first (add $first $count | int) 1) -}}
{{- end -}}
{{- end -}}

{{/* The sensor of taps that send to the collectors, a section of the webhook's configuration as JSON. */}}
{{- define "sidetap.collectorSensor" -}}
{{- $address := printf "%s.%s.svc:%d" (include "sidetap.collector" .) .Release.Namespace (int .Values.collector.port) -}}
{{- toJson (dict "address" $address "mode" "hash" "tls" (ternary "registry" "off" .Values.collector.tls)) -}}
{{- end -}}

{{/* Likewise of taps that send to sensor.address by themselves. */}}
{{- define "sidetap.directSensor" -}}
{{- $sensor := dict "address" .Values.sensor.address "mode" .Values.sensor.mode "tls" .Values.sensor.tls -}}
{{- with .Values.sensor.port -}}{{- $_ := set $sensor "port" (int .) -}}{{- end -}}
{{- with .Values.sensor.secretName -}}{{- $_ := set $sensor "secretName" . -}}{{- end -}}
{{- toJson $sensor -}}
{{- end -}}

{{/* Of taps without a profile. */}}
{{- define "sidetap.tapSensor" -}}
{{- if include "sidetap.collectsByDefault" . -}}
{{- include "sidetap.collectorSensor" . -}}
{{- else -}}
{{- include "sidetap.directSensor" . -}}
{{- end -}}
{{- end -}}

{{/* include "sidetap.profileCollects" (list $ PROFILE): "yes" if taps with this profile send to the collectors. One with a sensor or
     an output of its own does not, unless it says so. */}}
{{- define "sidetap.profileCollects" -}}
{{- $values := (index . 0).Values -}}
{{- $profile := index . 1 -}}
{{- $output := ($profile.sidecar | default dict).output | default $values.sidecar.output -}}
{{- $own := or ($profile.sensor | default dict).address (ne $output "rpcap") -}}
{{- $collects := and $values.collector.allTaps (not $own) -}}
{{- if hasKey $profile "collector" -}}{{- $collects = $profile.collector -}}{{- end -}}
{{- if and $values.collector.enabled $collects -}}yes{{- end -}}
{{- end -}}

{{/* include "sidetap.routedProfile" (list $ PROFILE): the profile as JSON, as the webhook reads it: `collector` is no key of it, and
     stands for a sensor. */}}
{{- define "sidetap.routedProfile" -}}
{{- $root := index . 0 -}}
{{- $profile := index . 1 -}}
{{- $routed := omit $profile "collector" -}}
{{- $collects := include "sidetap.profileCollects" . -}}
{{- $default := include "sidetap.collectsByDefault" $root -}}
{{- if and $collects (not $default) -}}
{{- $_ := set $routed "sensor" (include "sidetap.collectorSensor" $root | fromJson) -}}
{{- else if and $default (not $collects) -}}
{{- $direct := include "sidetap.directSensor" $root | fromJson -}}
{{- if ne (($profile.sidecar | default dict).output | default "rpcap") "rpcap" -}}
{{- /* The port is that of RPCAP sensors, and nothing else than RPCAP has TLS. */ -}}
{{- $direct = set (omit $direct "port" "secretName") "tls" "off" -}}
{{- end -}}
{{- if not $direct.address -}}
{{- /* No address is none to the webhook, which then keeps that of the collectors. Outputs without sensors do not use it. */ -}}
{{- $direct = omit $direct "address" -}}
{{- end -}}
{{- $_ := set $routed "sensor" (merge (dict) ($profile.sensor | default dict) $direct) -}}
{{- end -}}
{{- toJson $routed -}}
{{- end -}}

{{/* sensor.address for the collectors, each with its port: the webhook adds sensor.port for taps. */}}
{{- define "sidetap.collectorSensors" -}}
{{- $sensors := list -}}
{{- range splitList "," .Values.sensor.address -}}
{{- $sensor := trim . -}}
{{- if and $.Values.sensor.port (not (regexMatch "^(\\[.*\\]|[^:]*):[0-9]+$" $sensor)) -}}
{{- if contains ":" $sensor -}}{{- $sensor = printf "[%s]" (trimAll "[]" $sensor) -}}{{- end -}}
{{- $sensor = printf "%s:%d" $sensor (int $.Values.sensor.port) -}}
{{- end -}}
{{- $sensors = append $sensors $sensor -}}
{{- end -}}
{{- join "," $sensors -}}
{{- end -}}

{{/* The collectors' variables, a JSON object. What is in collector.env wins. */}}
{{- define "sidetap.collectorEnvironment" -}}
{{- $c := .Values.collector -}}
{{- $env := dict "LISTEN" (printf ":%d" (int $c.port)) "DATA_PORT" (toString (int $c.dataPort)) "DATA" (ternary "tcp" "udp" $c.tls) "OUTPUT" $c.output
      "DRAIN" (printf "%ds" (int $c.drainSeconds)) "STATUS_LISTEN" (printf ":%d" (int $c.statusPort)) "LOG_LEVEL" $c.logLevel "LOG_FORMAT" $c.logFormat -}}
{{- if $c.tls -}}
{{- $env = merge $env (dict "TAP_TLS_CERT" "/etc/sidetap-tls/tls.crt" "TAP_TLS_KEY" "/etc/sidetap-tls/tls.key") -}}
{{- end -}}
{{- if include "sidetap.collectorProves" . -}}
{{- $env = merge $env (dict "REGISTRY" (printf "%s.%s.svc:%d" (include "sidetap.registry" .) .Release.Namespace (int .Values.registry.port))
      "REGISTRY_CA" "/etc/sidetap-tls/ca.crt" "REGISTRY_TOKEN_FILE" "/var/run/secrets/sidetap/api/token") -}}
{{- end -}}
{{- with .Values.subnets.pods -}}{{- $env = set $env "TAP_SUBNETS" (join "," .) -}}{{- end -}}
{{- if include "sidetap.collectorDials" . -}}
{{- $env = merge $env (dict "SENSOR" (include "sidetap.collectorSensors" .) "SENSOR_MODE" .Values.sensor.mode) -}}
{{- end -}}
{{- if eq $c.output "rpcap" -}}
{{- $env = set $env "SENSOR_TLS" .Values.sensor.tls -}}
{{- if .Values.sensor.secretName -}}{{- $env = set $env "SENSOR_SECRET_DIR" "/etc/sidetap-sensor" -}}{{- end -}}
{{- else if eq $c.output "pcap" -}}
{{- $env = merge $env (dict "PCAP_DIR" "/var/lib/sidetap-packets" "PCAP_FORMAT" "pcapng") -}}
{{- else if eq $c.output "pcap-over-ip" -}}
{{- $env = set $env "PCAP_LISTEN" (printf ":%d" (int $c.readersPort)) -}}
{{- else if eq $c.output "interface" -}}
{{- $env = set $env "OUTPUT_INTERFACE" $c.interface -}}
{{- end -}}
{{- toJson (merge (dict) $c.env $env) -}}
{{- end -}}

{{/* A JSON list of the addresses that they dial, each with or without a port. */}}
{{- define "sidetap.collectorPeers" -}}
{{- $peers := list -}}
{{- $env := include "sidetap.collectorEnvironment" . | fromJson -}}
{{- range list $env.SENSOR $env.PCAP_CONNECT -}}
{{- range splitList "," (. | default "") -}}{{- with trim . -}}{{- $peers = append $peers . -}}{{- end -}}{{- end -}}
{{- end -}}
{{- toJson $peers -}}
{{- end -}}
