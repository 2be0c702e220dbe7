{{/* Written by tests/options/texts.py from shared/tap/settings.h: settings of taps, as the webhook reads them. */}}
{{- define "sidetap.tapSettings" -}}
snaplen: {{ int .Values.sidecar.snaplen }}
output: {{ .Values.sidecar.output | quote }}
filter: {{ .Values.sidecar.filter | quote }}
flowSampling: {{ int .Values.sidecar.flowSampling }}
maxRate: {{ .Values.sidecar.maxRate | quote }}
maxPacketRate: {{ int .Values.sidecar.maxPacketRate }}
paused: {{ .Values.sidecar.paused }}
interface: {{ .Values.sidecar.interface | quote }}
mesh: {{ .Values.sidecar.mesh | quote }}
bufferSize: {{ .Values.sidecar.bufferSize | quote }}
backlog: {{ .Values.sidecar.backlog | quote }}
dataMtu: {{ int .Values.sidecar.dataMtu }}
tappedPeers: {{ .Values.sidecar.tappedPeers | quote }}
serviceView: {{ .Values.sidecar.serviceView | quote }}
untappedServices: {{ toJson .Values.sidecar.untappedServices }}
statusPort: {{ int .Values.sidecar.statusPort }}
logLevel: {{ .Values.sidecar.logLevel | quote }}
logFormat: {{ .Values.sidecar.logFormat | quote }}
{{- end -}}
