{{/* The command line of the webhook. */}}
{{- define "sidetap.webhookArgs" -}}
- serve
- --listen=:{{ .Values.webhook.port }}
- --status-listen=:{{ .Values.webhook.statusPort }}
- --config=/etc/sidetap/config.yaml
{{- if eq .Values.certificates.mode "selfManaged" }}
- --certs=self-managed
- --certs-namespace={{ .Release.Namespace }}
- --certs-secret={{ include "sidetap.tlsSecret" . }}
- --certs-services={{ include "sidetap.webhook" . }}{{ if .Values.registry.enabled }},{{ include "sidetap.registry" . }}{{ end }}
- --certs-webhook-configuration={{ include "sidetap.webhook" . }}
{{- else }}
- --tls-cert=/etc/sidetap-tls/tls.crt
- --tls-key=/etc/sidetap-tls/tls.key
{{- end }}
{{- if .Values.registry.enabled }}
- --registry-listen=:{{ .Values.registry.port }}
- --registry-auth={{ .Values.registry.auth }}
{{- if .Values.registry.services }}
- --registry-services=true
{{- end }}
{{- if ne .Values.certificates.mode "selfManaged" }}
- --registry-ca=/etc/sidetap-tls/ca.crt
{{- end }}
{{- end }}
- --threads={{ .Values.webhook.threads }}
- --drain-seconds={{ .Values.webhook.drainSeconds }}
- --log-level={{ .Values.webhook.logLevel }}
- --log-format={{ .Values.webhook.logFormat }}
{{- with .Values.webhook.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end -}}
